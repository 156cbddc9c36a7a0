/* SPDX-License-Identifier: MIT
 * main.c - the program: which subcommand, and its exit status. */
#include <stdio.h>
#include <string.h>

#include "base/result.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        puts(PACKAGE_NAME " " PACKAGE_VERSION);
        return 0;
    }
    fputs("usage: refreshd version\n", stderr);
    return FAULT_USAGE;
}
