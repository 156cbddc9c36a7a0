/* SPDX-License-Identifier: MIT
 * command_version.c - `refreshd version`: what this program is made of. */
#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"
#include "base/zone_file.h"
#include "command/command_line.h"
#include "command/commands.h"

static const char usage[] = "usage: refreshd version [--format text|json]\n\n"
                            "Print the version, the libraries in use and the zone data.\n";

struct part {
    const char *name;
    const char *version;
};

static void print_parts(const struct part *parts, size_t count, enum output_format format)
{
    if (format == OUTPUT_TEXT) {
        printf("refreshd %s\n", parts[0].version);
        for (size_t i = 1; i < count; i++)
            printf("%-9s %s\n", parts[i].name, parts[i].version);
        return;
    }
    putchar('{');
    for (size_t i = 0; i < count; i++) {
        struct text value;

        text_init(&value, 1024);
        text_append_json(&value, parts[i].version, strlen(parts[i].version));
        printf("%s\"%s\":\"%s\"", i == 0 ? "" : ",", parts[i].name,
               value.bytes == NULL ? "" : value.bytes);
        text_deinit(&value);
    }
    puts("}");
}

int command_version(int argc, char **argv)
{
    static const struct option options[] = {COMMON_LONG_OPTIONS, {0}};
    struct command_line line;
    char tzdata[ZONE_VERSION_SIZE];
    int option;

    command_line_init(&line, "version", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = command_line_common(&line, option);

        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&line, "unexpected argument \"%s\"", argv[optind]);
    const struct part parts[] = {
        {"version", PACKAGE_VERSION},
        {"curl", curl_version_info(CURLVERSION_NOW)->version},
        {"libevent", event_get_version()},
        {"sqlite", sqlite3_libversion()},
        {"libyaml", yaml_get_version_string()},
        {"jansson", jansson_version_str()},
        {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
        {"tzdata", zone_data_version(ZONE_DIRECTORY, tzdata)},
    };
    print_parts(parts, sizeof parts / sizeof parts[0], line.format);
    return 0;
}
