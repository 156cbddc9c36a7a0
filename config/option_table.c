/* SPDX-License-Identifier: MIT
 * option_table.c - the rows. A new option is a row here and its use in the builder. */
#include "config/option_table.h"

#include "base/time_point.h"
#include "config/config.h"
#include "scheduler/breaker.h"
#include "scheduler/settings.h"

#define DAYS(n) ((n)*MS_PER_DAY)
#define HOURS(n) ((n)*MS_PER_HOUR)
#define MINUTES(n) ((n)*MS_PER_MINUTE)
#define SECONDS(n) ((n)*MS_PER_SECOND)
#define YEARS(n) DAYS((n)*INT64_C(366))

#define FROM_DEFINITION "from the API definition"

/* When something is initiated; the same rows at all nodes and at schedules. */
#define HOURS_ROWS(prefix) \
    {.path = prefix ".blackout", \
     .type = OPTION_LIST, \
     .max = 100, \
     .one_or_list = true, \
     .default_note = "none", \
     .help = "Times at which nothing is initiated, not even in a window."}, \
        {.path = prefix ".blackout[]", \
         .type = OPTION_TIME_RANGE, \
         .help = "Such as `02:00-03:00 Europe/Bucharest`, or all of a calendar."}, \
        {.path = prefix ".blackout[].calendar", \
         .type = OPTION_NAME, \
         .is_required = true, \
         .help = "One of `calendars`."}, \
        {.path = prefix ".windows", \
         .type = OPTION_LIST, \
         .max = 100, \
         .one_or_list = true, \
         .default_note = "always", \
         .help = "Times at which alone something is initiated."}, \
        {.path = prefix ".windows[]", \
         .type = OPTION_TIME_RANGE, \
         .help = "Such as `Mon-Fri 22:00-06:00 Europe/London`, or all of a calendar."}, \
    { \
        .path = prefix ".windows[].calendar", .type = OPTION_NAME, .is_required = true, \
        .help = "One of `calendars`." \
    }

/* The same rows at a provider, at the template of its institutions, and at a named one. */
#define LIMIT_ROWS(prefix) \
    {.path = prefix ".rate", \
     .type = OPTION_LIST, \
     .max = RATES_MAX, \
     .one_or_list = true, \
     .default_note = "no limit", \
     .help = "Most requests in any stretch of time of the given length; all of them hold."}, \
        {.path = prefix ".rate[]", \
         .type = OPTION_RATE, \
         .min = 1, \
         .max = 1000000, \
         .help = "Count and length, such as `50/s`, `100/min`, `2000/day`, `10/15m`."}, \
        {.path = prefix ".requests_in_flight", \
         .type = OPTION_INTEGER, \
         .min = 1, \
         .max = 10000, \
         .default_note = "no limit", \
         .help = "Most requests that wait for their answer at the same time."}, \
        {.path = prefix ".jobs_running", \
         .type = OPTION_INTEGER, \
         .min = 1, \
         .max = 10000000, \
         .default_note = "no limit", \
         .help = "Most refresh jobs that run at the provider at the same time."}, \
        HOURS_ROWS(prefix)

/* What is learned at such a node. `learn` and `floor` are the members that tell the defaults. */
#define PACE_ROWS(prefix, learn, floor) \
    {.path = prefix ".pace", \
     .type = OPTION_MAPPING, \
     .help = \
         "The pace at which work is started here, learned from refusals and trouble. It holds " \
         "beside `rate`; questions about running jobs never pay it."}, \
        {.path = prefix ".pace.floor", \
         .type = OPTION_RATE, \
         floor, \
         .min = 1, \
         .max = 1000000, \
         .help = "The slowest pace: this much is still tried when all is refused."}, \
    { \
        .path = prefix ".pace.learn", .type = OPTION_BOOLEAN, learn, \
        .help = "Learn it; `false` where the limits above say all there is to know." \
    }

#define WAIT_ROWS(prefix, what, first_text, first_help, last_text, last_help) \
    {.path = prefix, .type = OPTION_MAPPING, .help = "After " what "."}, \
        {.path = prefix ".first", \
         .type = OPTION_DURATION, \
         .default_text = first_text, \
         .min = SECONDS(1), \
         .max = DAYS(7), \
         .help = "The first wait; each further one is twice as long, up to `max`." first_help}, \
    { \
        .path = prefix ".max", .type = OPTION_DURATION, .default_text = last_text, \
        .min = SECONDS(1), .max = DAYS(7), .help = last_help \
    }

const struct config_option option_table[] = {
    {.path = "version",
     .type = OPTION_INTEGER,
     .is_required = true,
     .min = 1,
     .max = 1,
     .help = "The version of this format: 1."},
    {.path = "include",
     .type = OPTION_LIST,
     .max = 1000,
     .one_or_list = true,
     .default_note = "nothing",
     .help = "Further files: patterns, relative to this file, read in the order of their names. "
             "Only `*.yaml` files count; files that begin with a dot never do. Only the root file "
             "includes."},
    {.path = "include[]", .type = OPTION_TEXT, .help = "A pattern such as `conf.d/*.yaml`."},

    {.path = "state", .type = OPTION_MAPPING, .help = "What the daemon must not forget."},
    {.path = "state.database",
     .type = OPTION_PATH,
     .is_fixed = true,
     .default_text = "/var/lib/refreshd/state.db",
     .help = "The state database (SQLite). Lock and control socket lie beside it."},
    {.path = "state.retain", .type = OPTION_MAPPING, .help = "How long history is kept."},
    {.path = "state.retain.attempts",
     .type = OPTION_DURATION,
     .default_text = "30d",
     .min = DAYS(1),
     .max = YEARS(10),
     .help = "Attempts; at least as long as the longest quota window."},
    {.path = "state.retain.jobs",
     .type = OPTION_DURATION,
     .default_text = "90d",
     .min = DAYS(1),
     .max = YEARS(10),
     .help = "Closed jobs, skips and runs."},

    {.path = "reporting", .type = OPTION_MAPPING, .help = "Where results are delivered."},
    {.path = "reporting.database",
     .type = OPTION_PATH,
     .is_fixed = true,
     .default_note = "none",
     .help = "The reporting database (SQLite)."},
    {.path = "reporting.snapshot",
     .type = OPTION_PATH,
     .default_note = "none",
     .help = "A copy of the reporting database, renamed into place after each run."},
    {.path = "reporting.export",
     .type = OPTION_MAPPING,
     .default_note = "none",
     .help = "Files with the facts of each finished run."},
    {.path = "reporting.export.directory",
     .type = OPTION_PATH,
     .is_required = true,
     .help = "Where they are written."},
    {.path = "reporting.export.format",
     .type = OPTION_ENUM,
     .default_text = "csv",
     .words = "csv|json",
     .help = "Their form; `json` is one object per line."},

    {.path = "summary", .type = OPTION_MAPPING, .help = "The summary log."},
    {.path = "summary.every",
     .type = OPTION_DURATION,
     .default_text = "15m",
     .min = SECONDS(1),
     .max = DAYS(7),
     .help = "One line per period, and one per finished run."},
    {.path = "summary.format",
     .type = OPTION_ENUM,
     .default_text = "logfmt",
     .words = "logfmt|json",
     .help = "The form of its lines."},
    {.path = "summary.log",
     .type = OPTION_PATH,
     .default_text = "-",
     .words = "-",
     .help = "A file, or `-` for standard error."},

    {.path = "http", .type = OPTION_MAPPING, .help = "What the daemon listens on."},
    {.path = "http.listen",
     .type = OPTION_ADDRESS,
     .is_fixed = true,
     .default_note = "not served",
     .help = "Status page, metrics, health and API."},
    {.path = "http.token",
     .type = OPTION_SECRET,
     .default_note = "no writes",
     .help = "The token that a request must carry to change something."},
    {.path = "http.webhooks",
     .type = OPTION_MAPPING,
     .help = "Calls by which providers tell that a job has ended."},
    {.path = "http.webhooks.listen",
     .type = OPTION_ADDRESS,
     .is_fixed = true,
     .default_note = "not served",
     .help = "Where they arrive (behind your TLS proxy)."},
    {.path = "http.webhooks.public_url",
     .type = OPTION_URL,
     .default_note = "none",
     .help = "The address that providers are told; it leads to `listen`."},

    {.path = "providers", .type = OPTION_MAPPING, .help = "Accounts at provider APIs, by name."},
    {.path = "providers.*", .type = OPTION_MAPPING, .help = "One account; its name is yours."},
    {.path = "providers.*.override",
     .type = OPTION_BOOLEAN,
     .default_note = "no",
     .help = "Replace the provider of this name from an earlier file."},
    {.path = "providers.*.api",
     .type = OPTION_TEXT,
     .is_required = true,
     .help = "The API definition: the name of a built-in one, or the path of a file of your own "
             "(it holds a slash)."},
    {.path = "providers.*.base_url",
     .type = OPTION_URL,
     .is_required = true,
     .help = "Where the API lives."},
    {.path = "providers.*.auth",
     .type = OPTION_MAPPING,
     .is_required = true,
     .help = "Who we are to the provider."},
    {.path = "providers.*.auth.client_id",
     .type = OPTION_SECRET,
     .is_required = true,
     .help = "Our client id."},
    {.path = "providers.*.auth.client_secret",
     .type = OPTION_SECRET,
     .is_required = true,
     .help = "Our client secret."},
    {.path = "providers.*.auth.mode",
     .type = OPTION_NAME,
     .default_note = "the definition's only mode",
     .help = "One of the ways to authenticate that the API definition knows."},
    {.path = "providers.*.auth.scope",
     .type = OPTION_TEXT,
     .default_note = "none",
     .help = "The scope that a token is asked for with."},
    {.path = "providers.*.auth.token_url",
     .type = OPTION_URL,
     .default_note = "the definition's path on `base_url`",
     .help = "Where tokens are obtained, where the mode needs to be told."},
    {.path = "providers.*.body_max",
     .type = OPTION_SIZE,
     .default_text = "1MiB",
     .min = 1024,
     .max = INT64_C(4) * 1024 * 1024,
     .help = "Longer answers are bad answers."},
    {.path = "providers.*.ca_file",
     .type = OPTION_PATH,
     .default_note = "the system's",
     .help = "The certificate authorities that may vouch for the provider (PEM)."},
    {.path = "providers.*.breaker",
     .type = OPTION_MAPPING,
     .help = "When a provider or one of its institutions is left alone because nothing but trouble "
             "comes back: its slots wait with reason `breaker`, and few requests probe whether it "
             "is back."},
    {.path = "providers.*.breaker.configuration",
     .type = OPTION_INTEGER,
     .default_text = "5",
     .max = BREAKER_CONSENTS_MAX,
     .help = "So many consents refused because the request was wrong, and none accepted in "
             "between, stop the provider. A changed setting of the provider lets it go. 0: never."},
    {.path = "providers.*.breaker.failures",
     .type = OPTION_INTEGER,
     .default_text = "5",
     .max = 1000,
     .help = "So many failed rounds in a row, and no success in between, stop the node. A round "
             "lasts from sending until the answer, so many failures at once count once. 0: never."},
    {.path = "providers.*.breaker.probe",
     .type = OPTION_MAPPING,
     .help = "How it is found out that the trouble is over."},
    {.path = "providers.*.breaker.probe.at_once",
     .type = OPTION_INTEGER,
     .default_text = "1",
     .min = 1,
     .max = 100,
     .help = "Probes without a result at the same time."},
    {.path = "providers.*.breaker.probe.first",
     .type = OPTION_DURATION,
     .default_text = "1m",
     .min = SECONDS(1),
     .max = DAYS(7),
     .help = "Before the first probe: at random between half of it and all; doubles with each that "
             "fails, up to `max`."},
    {.path = "providers.*.breaker.probe.lease",
     .type = OPTION_DURATION,
     .default_text = "10m",
     .min = SECONDS(1),
     .max = DAYS(7),
     .help = "A probe without a result by then makes room for another one."},
    {.path = "providers.*.breaker.probe.max",
     .type = OPTION_DURATION,
     .default_text = "30m",
     .min = SECONDS(1),
     .max = DAYS(7),
     .help = "The longest wait; after configuration errors also the first one."},
    {.path = "providers.*.completion",
     .type = OPTION_MAPPING,
     .help = "How the end of a job is learned."},
    {.path = "providers.*.completion.give_up_after",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .min = SECONDS(1),
     .max = DAYS(30),
     .help = "A job not known to have ended by then is `unknown`."},
    {.path = "providers.*.completion.poll", .type = OPTION_MAPPING, .help = "Asking for it."},
    {.path = "providers.*.completion.poll.first",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .min = 1,
     .max = DAYS(1),
     .help = "The first question after the job was accepted."},
    {.path = "providers.*.completion.poll.floor",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .min = 1,
     .max = DAYS(1),
     .help = "One job is never asked for more often than this, whatever the provider proposes."},
    {.path = "providers.*.completion.poll.max",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .min = 1,
     .max = DAYS(1),
     .help = "The time between questions doubles up to this."},
    {.path = "providers.*.completion.webhook",
     .type = OPTION_BOOLEAN,
     .default_text = "false",
     .help = "The provider calls us too; needs `http.webhooks.public_url`."},
    {.path = "providers.*.consent", .type = OPTION_MAPPING, .help = "What holds per consent."},
    {.path = "providers.*.consent.cooldown",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .max = DAYS(366),
     .help = "Time between an accepted initiation and the next one; or a mapping that tells "
             "apart what became of it."},
    {.path = "providers.*.consent.cooldown.after_accept",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .max = DAYS(366),
     .help = "While its end is not known."},
    {.path = "providers.*.consent.cooldown.after_failure",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .max = DAYS(366),
     .help = "It ended without fresh data."},
    {.path = "providers.*.consent.cooldown.after_success",
     .type = OPTION_DURATION,
     .default_note = FROM_DEFINITION,
     .max = DAYS(366),
     .help = "It ended with fresh data."},
    {.path = "providers.*.consent.expiry_margin",
     .type = OPTION_DURATION,
     .default_text = "3m",
     .max = DAYS(7),
     .help = "Nothing is initiated for a consent that ends so soon: its slots are skipped as "
             "`expired`, and none of its quota is spent."},
    {.path = "providers.*.consent.quota",
     .type = OPTION_RATE,
     .default_text = "4/24h",
     .words = "none",
     .min = 1,
     .max = QUOTA_COUNT_MAX,
     .help = "Most initiations of one consent in a rolling window; `none` where nothing limits "
             "them."},
    {.path = "providers.*.consent.recheck",
     .type = OPTION_DURATION,
     .words = "none",
     .default_note = "`7d`, or `none` where the API definition has no look-up",
     .max = DAYS(366),
     .help = "Each held consent is looked up once in so long, spread evenly, and let go when the "
             "provider says that it is active again; `none` or `0s` never asks."},
    {.path = "providers.*.consent.warn",
     .type = OPTION_LIST,
     .max = CONSENT_LEADS_MAX,
     .one_or_list = true,
     .default_note = "`[7d, 1d]`",
     .help = "How long before its end a consent is warned of, once for each; `[]`: never. The "
             "longest also says when it enters `v1_reconnect`."},
    {.path = "providers.*.consent.warn[]",
     .type = OPTION_DURATION,
     .min = SECONDS(1),
     .max = DAYS(366),
     .help = "One of them."},
    {.path = "providers.*.customer_secret",
     .type = OPTION_SECRET,
     .default_note = "none",
     .help = "The secret of a customer, read when it is sent; `{customer}` in a path stands for "
             "the customer's id."},
    {.path = "providers.*.insecure",
     .type = OPTION_BOOLEAN,
     .default_text = "false",
     .help = "Accept `http://` beyond this machine. Secrets then travel in the clear."},
    {.path = "providers.*.internal",
     .type = OPTION_BOOLEAN,
     .default_text = "false",
     .help = "Accept that names resolve to private addresses."},
    {.path = "providers.*.limits",
     .type = OPTION_MAPPING,
     .help = "What holds for all requests to this provider."},
    LIMIT_ROWS("providers.*.limits"),
    PACE_ROWS("providers.*.limits", .default_text = "true", .default_text = "1/min"),
    {.path = "providers.*.limits.guard",
     .type = OPTION_DURATION,
     .default_text = "50ms",
     .max = SECONDS(10),
     .help = "Added to the length of each rate: how much later a request may arrive than it was "
             "sent, so that the provider's own count agrees."},
    {.path = "providers.*.institutions",
     .type = OPTION_MAPPING,
     .help = "What holds per bank, by the provider's word for it."},
    {.path = "providers.*.institutions.default",
     .type = OPTION_MAPPING,
     .help = "Every institution on its own, unless its own entry says otherwise."},
    LIMIT_ROWS("providers.*.institutions.default"),
    PACE_ROWS("providers.*.institutions.default", .default_note = "true", .default_note = "1/min"),
    {.path = "providers.*.institutions.*",
     .type = OPTION_MAPPING,
     .help = "One institution; replaces `default` key by key. `-` are the consents without one."},
    LIMIT_ROWS("providers.*.institutions.*"),
    PACE_ROWS("providers.*.institutions.*", .default_note = "as `default`",
              .default_note = "as `default`"),
    {.path = "providers.*.maintenance",
     .type = OPTION_MAPPING,
     .help = "Maintenance of institutions that the provider tells, in its list of them."},
    {.path = "providers.*.maintenance.every",
     .type = OPTION_DURATION,
     .default_note = "`1h` where the API definition can ask",
     .words = "never",
     .min = SECONDS(1),
     .max = DAYS(7),
     .help =
         "How often it is read; one call, which pays the provider's rates. Nothing is initiated "
         "at an institution while it is in maintenance."},
    {.path = "providers.*.proxy",
     .type = OPTION_URL,
     .default_note = "none",
     .help = "An HTTP proxy; never taken from the environment."},
    {.path = "providers.*.retry_budget",
     .type = OPTION_PERCENT,
     .default_text = "20%",
     .words = "none",
     .min = 1,
     .max = 100,
     .help = "Retries may be at most this share of first attempts, and a few more so that a small "
             "night can retry too; `none` where nothing limits them."},
    {.path = "providers.*.timeouts", .type = OPTION_MAPPING, .help = "How long to wait."},
    {.path = "providers.*.timeouts.connect",
     .type = OPTION_DURATION,
     .default_text = "10s",
     .min = 1,
     .max = MINUTES(5),
     .help = "For a connection."},
    {.path = "providers.*.timeouts.request",
     .type = OPTION_DURATION,
     .default_text = "30s",
     .min = 1,
     .max = MINUTES(10),
     .help = "For a whole answer."},
    {.path = "providers.*.waits",
     .type = OPTION_MAPPING,
     .help = "How long to wait after refusals that name no time."},
    WAIT_ROWS("providers.*.waits.cooldown", "a consent was refused as too soon", "15m",
              " Where `consent.cooldown` is written and this is not, it is that long.", "6h",
              "The longest wait."),
    WAIT_ROWS("providers.*.waits.credentials", "the provider refused our credentials", "1m", "",
              "30m", "The longest wait."),
    WAIT_ROWS("providers.*.waits.pushback", "HTTP 429 without a Retry-After", "30s",
              " Where it is not written, a shorter `retry.backoff.first` counts.", "1h",
              "The longest wait; a longer Retry-After is cut to it."),

    {.path = "schedules", .type = OPTION_MAPPING, .help = "When consents are refreshed, by name."},
    {.path = "schedules.*", .type = OPTION_MAPPING, .help = "One schedule; its name is yours."},
    {.path = "schedules.*.override",
     .type = OPTION_BOOLEAN,
     .default_note = "no",
     .help = "Replace the schedule of this name from an earlier file."},
    {.path = "schedules.*.allow_empty",
     .type = OPTION_BOOLEAN,
     .default_text = "false",
     .help = "A run without any consent is as good as one with."},
    HOURS_ROWS("schedules.*"),
    {.path = "schedules.*.cron",
     .type = OPTION_CRON,
     .is_required = true,
     .help = "Five fields, or six with seconds first; `@daily`, `@every 6h`."},
    {.path = "schedules.*.deadline",
     .type = OPTION_TIME_OR_DURATION,
     .default_note = "the next firing",
     .help =
         "Nothing is initiated from then on: a duration from the firing, or a time of day. What "
         "the rates cannot let through until then is skipped early, low priority first."},
    {.path = "schedules.*.dst", .type = OPTION_MAPPING, .help = "What to do when clocks change."},
    {.path = "schedules.*.dst.gap",
     .type = OPTION_ENUM,
     .default_text = "run_after",
     .words = "run_after|skip",
     .help = "A local time that does not exist."},
    {.path = "schedules.*.dst.overlap",
     .type = OPTION_ENUM,
     .default_text = "first",
     .words = "first|both",
     .help = "A local time that comes twice."},
    {.path = "schedules.*.look_back",
     .type = OPTION_DURATION,
     .default_note = "the provider's own",
     .min = MINUTES(1),
     .max = YEARS(10),
     .help = "How far back data is asked for, where the API lets us say."},
    {.path = "schedules.*.look_until",
     .type = OPTION_DURATION,
     .default_note = "now",
     .max = YEARS(10),
     .help = "The end of that stretch, counted back from now."},
    {.path = "schedules.*.misfire",
     .type = OPTION_MAPPING,
     .help = "What to do about firings that were missed while the daemon was down."},
    {.path = "schedules.*.misfire.max_age",
     .type = OPTION_DURATION,
     .default_text = "12h",
     .min = SECONDS(1),
     .max = DAYS(366),
     .help = "Older ones are not caught up."},
    {.path = "schedules.*.misfire.policy",
     .type = OPTION_ENUM,
     .default_text = "run_once",
     .words = "run_once|skip",
     .help = "One run for the latest of them, or none."},
    {.path = "schedules.*.priority",
     .type = OPTION_INTEGER,
     .default_text = "5",
     .max = PRIORITY_MAX,
     .help = "Who goes first where all wait: 9 before 0. Of nine turns one goes to those below."},
    {.path = "schedules.*.retry", .type = OPTION_MAPPING, .help = "Failed attempts."},
    {.path = "schedules.*.retry.attempts",
     .type = OPTION_INTEGER,
     .default_text = "3",
     .min = 1,
     .max = 20,
     .help = "Attempts in all, the first included."},
    {.path = "schedules.*.retry.backoff",
     .type = OPTION_MAPPING,
     .help = "The wait before the next attempt is random between nothing and this."},
    {.path = "schedules.*.retry.backoff.first",
     .type = OPTION_DURATION,
     .default_text = "1m",
     .min = 1,
     .max = DAYS(7),
     .help = "Before the second attempt; doubles with each."},
    {.path = "schedules.*.retry.backoff.max",
     .type = OPTION_DURATION,
     .default_text = "1h",
     .min = 1,
     .max = DAYS(7),
     .help = "The most."},
    {.path = "schedules.*.spread",
     .type = OPTION_DURATION,
     .default_text = "0s",
     .max = DAYS(31),
     .help = "Consents are placed evenly over this time from the firing on; it is shortened where "
             "less than a twentieth of the time to the deadline (two minutes at least, of short "
             "ones a quarter) is left after it. Those that would "
             "come too late for the deadline, as in closed hours, come earlier."},
    {.path = "schedules.*.timezone",
     .type = OPTION_ZONE,
     .default_text = "UTC",
     .help = "The IANA name of the zone of `cron` and `deadline`."},

    {.path = "calendars",
     .type = OPTION_MAPPING,
     .help = "Time ranges that several places share, such as bank holidays, by name."},
    {.path = "calendars.*",
     .type = OPTION_LIST,
     .max = 1000,
     .one_or_list = true,
     .help = "One calendar: `{calendar: NAME}` in a `blackout` or `windows` stands for it."},
    {.path = "calendars.*[]", .type = OPTION_TIME_RANGE, .help = "Such as `12-25 Europe/London`."},

    {.path = "consents", .type = OPTION_LIST, .help = "What is refreshed."},
    {.path = "consents[]",
     .type = OPTION_MAPPING,
     .help = "One consent. The fields are the columns of `consents_from` too."},
    {.path = "consents[].override",
     .type = OPTION_BOOLEAN,
     .default_note = "no",
     .help = "Replace the consent of this provider and id from an earlier file."},
    {.path = "consents[].authorized_at",
     .type = OPTION_DATE,
     .default_note = "not known",
     .help = "When the customer last agreed; a change ends a hold."},
    {.path = "consents[].customer",
     .type = OPTION_TEXT,
     .default_note = "none",
     .help = "The provider's id of the customer."},
    {.path = "consents[].customer_own_id",
     .type = OPTION_TEXT,
     .default_note = "none",
     .help = "Your own id of the customer, instead."},
    {.path = "consents[].customer_secret",
     .type = OPTION_SECRET,
     .default_note = "the provider's",
     .help = "The secret of this customer. In a column: `file:PATH`."},
    {.path = "consents[].expires",
     .type = OPTION_DATE,
     .default_note = "never",
     .help = "Nothing is sent from then on; a date alone is 00:00 UTC of that day."},
    {.path = "consents[].id",
     .type = OPTION_TEXT,
     .is_required = true,
     .help = "The provider's id of the consent."},
    {.path = "consents[].institution",
     .type = OPTION_INSTITUTION,
     .default_note = "none",
     .help = "The bank behind it, in the provider's word."},
    {.path = "consents[].mode",
     .type = OPTION_ENUM,
     .default_note = "active",
     .words = "active|listen|off",
     .help = "`listen` where the provider refreshes by itself; `off` does nothing."},
    {.path = "consents[].priority",
     .type = OPTION_INTEGER,
     .default_note = "the schedule's",
     .max = PRIORITY_MAX,
     .help = "As `schedules.*.priority`."},
    {.path = "consents[].provider",
     .type = OPTION_NAME,
     .is_required = true,
     .help = "One of `providers`."},
    {.path = "consents[].schedule",
     .type = OPTION_LIST,
     .one_or_list = true,
     .max = SCHEDULES_PER_CONSENT_MAX,
     .default_note = "only when asked",
     .help = "One or several of `schedules`. In a column: separated by blanks."},
    {.path = "consents[].schedule[]", .type = OPTION_NAME, .help = "The name of one."},
    {.path = "consents[].tags",
     .type = OPTION_LIST,
     .one_or_list = true,
     .max = 32,
     .default_note = "none",
     .help = "Words of yours, for filters and reports."},
    {.path = "consents[].tags[]", .type = OPTION_TEXT, .help = "One word."},

    {.path = "consents_from",
     .type = OPTION_LIST,
     .max = 1000,
     .help = "Large sets: tables with the fields of `consents` as columns."},
    {.path = "consents_from[]", .type = OPTION_MAPPING, .help = "One table."},
    {.path = "consents_from[].csv",
     .type = OPTION_PATH,
     .default_note = "none",
     .help = "A file of comma-separated values with a first row of column names."},
    {.path = "consents_from[].every",
     .type = OPTION_DURATION,
     .default_note = "at start and reload",
     .min = SECONDS(1),
     .max = DAYS(366),
     .help = "How often it is read again."},
    {.path = "consents_from[].max_shrink",
     .type = OPTION_PERCENT,
     .default_note = "the global `max_shrink`",
     .max = 100,
     .help = "Losing more of its consents than this refuses the table; the last good one stays."},
    {.path = "consents_from[].query",
     .type = OPTION_TEXT,
     .default_note = "none",
     .help = "With `sqlite`: the SELECT; columns are found by name."},
    {.path = "consents_from[].sqlite",
     .type = OPTION_PATH,
     .default_note = "none",
     .help = "An SQLite database, opened read-only."},

    {.path = "max_shrink",
     .type = OPTION_PERCENT,
     .default_text = "10%",
     .max = 100,
     .help = "For every table that says nothing else."},
};

const size_t option_table_count = sizeof option_table / sizeof option_table[0];
