/* SPDX-License-Identifier: MIT
 *
 * state_query.h - rows of the public views for commands and HTTP, with filters.
 *
 * Layer:  state. Read-only: opens its own connection (mode=ro, query_only), so it works beside a
 *         running daemon and offline alike.
 * Safety: names of views, columns and filters come from a fixed table; values are bound.
 */
#ifndef REFRESHD_STATE_STATE_QUERY_H
#define REFRESHD_STATE_STATE_QUERY_H

#include <stdint.h>

#include "base/result.h"

enum query_type { QUERY_NULL, QUERY_INTEGER, QUERY_REAL, QUERY_TEXT };

struct query_value {
    enum query_type type;
    int64_t integer;
    double real;
    const char *text; /* borrowed until the callback returns; no NULs inside */
};

/* One row. `columns` are the view's names in the view's order. RESULT_FAULT stops. */
typedef enum result state_query_row_function(void *context, uint32_t column_count,
                                             const char *const *columns,
                                             const struct query_value *values, struct fault *fault);

/* A condition on a column of the view. Text values compare exactly; `column` must be one of the
 * view's columns, else FAULT_USAGE naming those there are. */
enum query_operator { QUERY_EQUAL, QUERY_NOT_BEFORE, QUERY_BEFORE, QUERY_IS_NULL, QUERY_NOT_NULL };
struct query_filter {
    const char *column;
    enum query_operator operator_;
    const char *text; /* NULL: compare with `integer` */
    int64_t integer;
};

enum query_view {
    QUERY_CONSENTS,
    QUERY_RUNS,
    QUERY_JOBS,
    QUERY_ATTEMPTS,
    QUERY_SKIPS,
    QUERY_LIMITS,
    QUERY_RECONNECT,
    QUERY_AUDIT,
    QUERY_VIEW_COUNT
};

struct state_query;

/* FAULT_UNAVAILABLE where there is no database yet (the text says what creates it). */
MUST_CHECK enum result state_query_open(const char *database, struct state_query **query,
                                        struct fault *fault);
void state_query_close(struct state_query *query);

/* Rows that pass all filters: newest first for runs, jobs, attempts, skips and audit, by name for
 * the others. `limit` 0: all. */
MUST_CHECK enum result state_query_list(struct state_query *query, enum query_view view,
                                        const struct query_filter *filters, uint32_t filter_count,
                                        uint32_t limit, state_query_row_function *on_row,
                                        void *context, struct fault *fault);

/* Any one SELECT with text parameters (?1 ...), for reports; refused when it would write. */
MUST_CHECK enum result state_query_sql(struct state_query *query, const char *sql,
                                       const char *const *parameters, uint32_t parameter_count,
                                       state_query_row_function *on_row, void *context,
                                       struct fault *fault);

#endif
