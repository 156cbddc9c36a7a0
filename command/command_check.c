/* SPDX-License-Identifier: MIT
 * command_check.c - `refreshd check`: is this configuration good? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "command/command_line.h"
#include "command/commands.h"
#include "daemon/clock.h"

#define DIAGNOSTICS_MAX 10000

static const char usage[] =
    "usage: refreshd check [-c FILE] [--as NAME=FILE] [--format text|json] [FILE|DIRECTORY]\n"
    "\n"
    "Validate the whole configuration: the root file, its includes, the API definitions they\n"
    "name, all consents of `consents:` and of the CSV files that are there. Needs no network,\n"
    "no database and no secrets. Says nothing and exits 0 when all is good; prints all errors\n"
    "as file:line:col: error: message and exits 78 when it is not. Warnings exit 0.\n"
    "\n"
    "  --as NAME=FILE  read FILE in the place of NAME (relative to the folder of the root file),\n"
    "                  whether NAME exists or not; NAME may be the root file itself. For Ansible:\n"
    "                  validate: refreshd check -c /etc/refreshd/refreshd.yaml --as "
    "conf.d/20.yaml=%s\n"
    "  --format json   {\"errors\": [...], \"warnings\": [...]} on standard output\n";

enum { OPTION_AS = 256 };

struct request {
    struct command_line line;
    struct config_options options;
    char *as_name;
};

/* "NAME=FILE" */
static int take_as(struct request *request)
{
    const char *equals = strchr(optarg, '=');

    if (equals == NULL || equals == optarg || equals[1] == '\0')
        return command_usage_error(&request->line, "--as %s: write NAME=FILE", optarg);
    if (request->as_name != NULL)
        return command_usage_error(&request->line, "--as can be given once");
    request->as_name = strndup(optarg, (size_t)(equals - optarg));
    REQUIRE(request->as_name != NULL);
    request->options.as_name = request->as_name;
    request->options.as_path = equals + 1;
    return -1;
}

static void put_string(const char *key, const char *value)
{
    struct text text;

    text_init(&text, 16384);
    text_append_json(&text, value, strlen(value));
    printf("\"%s\":\"%s\"", key, text.bytes == NULL ? "" : text.bytes);
    text_deinit(&text);
}

static void put_list(const struct diagnostics *diagnostics, bool errors)
{
    const char *separator = "";

    for (size_t i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *item = &diagnostics->items[i];

        if (item->is_error != errors)
            continue;
        printf("%s{", separator);
        put_string("file", item->place.file);
        printf(",\"line\":%u,\"column\":%u,", item->place.line, item->place.column);
        if (item->place.column_name != NULL) {
            put_string("cell", item->place.column_name);
            putchar(',');
        }
        put_string("message", item->message);
        putchar('}');
        separator = ",";
    }
}

static void print_json(struct diagnostics *diagnostics)
{
    diagnostics_sort(diagnostics);
    fputs("{\"errors\":[", stdout);
    put_list(diagnostics, true);
    fputs("],\"warnings\":[", stdout);
    put_list(diagnostics, false);
    puts("]}");
}

/* A folder stands for the root file of the usual name in it. */
static char *root_file(const char *path)
{
    struct stat status;
    char *file;

    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return strdup(path);
    return asprintf(&file, "%s%srefreshd.yaml", path, path[strlen(path) - 1] == '/' ? "" : "/") < 0
               ? NULL
               : file;
}

static int check(const struct request *request)
{
    struct diagnostics diagnostics;
    struct consent_table *consents = NULL;
    char *file = root_file(request->line.config_path);
    struct config_options options = request->options;
    struct config *config;

    REQUIRE(file != NULL);
    diagnostics_init(&diagnostics, DIAGNOSTICS_MAX);
    options.now = clock_now().utc;
    config = config_load(file, &options, &consents, &diagnostics);
    if (request->line.format == OUTPUT_JSON)
        print_json(&diagnostics);
    else
        diagnostics_print(&diagnostics, stderr);
    int status = config == NULL ? FAULT_CONFIGURATION : 0;

    consent_table_destroy(consents);
    config_release(config);
    diagnostics_deinit(&diagnostics);
    free(file);
    return status;
}

int command_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"as", required_argument, NULL, OPTION_AS}, COMMON_LONG_OPTIONS, {0}};
    struct request request = {.options = {.check_only = true}};
    int status = -1;
    int option;

    command_line_init(&request.line, "check", usage);
    while (status < 0 && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
        status =
            option == OPTION_AS ? take_as(&request) : command_line_common(&request.line, option);
    if (status < 0 && optind + 1 < argc)
        status = command_usage_error(&request.line, "one file, please; \"%s\" is one too many",
                                     argv[optind + 1]);
    if (status < 0 && optind < argc)
        request.line.config_path = argv[optind];
    if (status < 0)
        status = check(&request);
    free(request.as_name);
    return status;
}
