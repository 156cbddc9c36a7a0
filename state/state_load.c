/* SPDX-License-Identifier: MIT
 * state_load.c - see state_load.h. */
#include "state/state_load.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Consents named by one row of the ledger: what outbox_read hands over at a time. */
#define LEDGER_CONSENTS 500

static enum result set_load_run(struct state_store *store, bool is_open, struct fault *fault)
{
    return state_sql_execute(store->db,
                             is_open ? "UPDATE meta SET load_run_no = coalesce(load_run_no,"
                                       " (SELECT coalesce(max(run_no), 0) FROM run))"
                                     : "UPDATE meta SET load_run_no = NULL",
                             "note the load", fault);
}

enum result state_load_since(struct state_store *store, bool is_bulk, int64_t *since_run_no,
                             struct fault *fault)
{
    if (is_bulk && (set_load_run(store, true, fault) != RESULT_OK ||
                    state_sql_execute(store->db, "DROP INDEX IF EXISTS consent_by_name",
                                      "note the load", fault) != RESULT_OK))
        return RESULT_FAULT;
    if (state_sql_integer(store->db, "SELECT load_run_no FROM meta", store->last_run_no,
                          since_run_no, "note the load", fault) != RESULT_OK)
        return RESULT_FAULT;
    return is_bulk ? RESULT_OK : set_load_run(store, false, fault);
}

void state_load_begin(struct state_store *store, const struct consent_table *table, uint32_t *rows,
                      uint32_t count, int64_t since_run_no)
{
    store->needs_name_index = true;
    store->load = (struct consent_load){
        .table = table, .rows = rows, .count = count, .next = 1, .since_run_no = since_run_no};
}

void state_load_deinit(struct state_store *store)
{
    free(store->load.rows);
    number_set_deinit(&store->load.early);
    free(store->load.tentative);
    store->load = (struct consent_load){0};
}

static enum result write_row(struct state_store *store, uint32_t number, struct fault *fault)
{
    struct consent_view view;

    consent_table_get(store->load.table, store->load.rows[number - 1], &view);
    return state_consents_insert(store, &view, number, store->institution_nos, store->set_nos,
                                 store->load.since_run_no, fault);
}

enum result state_load_ledger(struct state_store *store, uint32_t first, uint32_t last,
                              struct fault *fault)
{
    for (uint32_t from = first; from <= last; from += LEDGER_CONSENTS) {
        uint32_t to = last - from < LEDGER_CONSENTS ? last : from + LEDGER_CONSENTS - 1;

        if (state_commit_ledger(store, LEDGER_CONSENT, from, to, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}

/* ---- ahead of its turn ---- */

/* Remember that this transaction wrote it, in case that it is rolled back. */
static bool note_tentative(struct consent_load *load, uint32_t number)
{
    if (load->tentative_count == load->tentative_capacity) {
        uint32_t capacity = load->tentative_capacity * 2 + 64;
        uint32_t *grown = realloc(load->tentative, capacity * sizeof *grown);

        if (grown == NULL)
            return false;
        load->tentative = grown;
        load->tentative_capacity = capacity;
    }
    load->tentative[load->tentative_count++] = number;
    return true;
}

enum result state_load_ensure(struct state_store *store, uint32_t consent, struct fault *fault)
{
    struct consent_load *load = &store->load;

    if (load->table == NULL || consent < load->next || consent > load->count ||
        number_set_has(&load->early, consent))
        return RESULT_OK;
    if (!note_tentative(load, consent) || !number_set_add(&load->early, consent)) {
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    return write_row(store, consent, fault);
}

void state_load_committed(struct state_store *store)
{
    store->load.tentative_count = 0;
}

void state_load_rolled_back(struct state_store *store)
{
    for (uint32_t i = 0; i < store->load.tentative_count; i++)
        number_set_remove(&store->load.early, store->load.tentative[i]);
    store->load.tentative_count = 0;
}

/* ---- the others ---- */

static enum result write_rows(struct state_store *store, uint32_t last, struct fault *fault)
{
    struct consent_load *load = &store->load;

    for (uint32_t number = load->next; number <= last; number++)
        if (!number_set_has(&load->early, number) && write_row(store, number, fault) != RESULT_OK)
            return RESULT_FAULT;
    if (state_load_ledger(store, load->next, last, fault) != RESULT_OK)
        return RESULT_FAULT;
    return last == load->count ? set_load_run(store, false, fault) : RESULT_OK;
}

enum result state_load_step(struct state_store *store, uint32_t rows_max, bool *more,
                            struct fault *fault)
{
    struct consent_load *load = &store->load;
    int64_t last_seq = store->last_seq;
    uint32_t last;

    *more = false;
    if (load->table == NULL)
        return RESULT_OK;
    last = load->count - load->next < rows_max ? load->count : load->next + rows_max - 1;
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (write_rows(store, last, fault) != RESULT_OK) {
        state_sql_rollback(store);
        goto undo;
    }
    if (state_sql_commit(store, fault) != RESULT_OK)
        goto undo;
    load->next = last + 1;
    *more = load->next <= load->count;
    if (!*more) {
        state_load_deinit(store);
        (void)malloc_trim(0); /* what loading took is not needed again */
    }
    return RESULT_OK;
undo:
    store->last_seq = last_seq;
    return RESULT_FAULT;
}

enum result state_load_finish(struct state_store *store, struct fault *fault)
{
    bool more = true;

    while (more)
        if (state_load_step(store, 50000, &more, fault) != RESULT_OK)
            return RESULT_FAULT;
    return RESULT_OK;
}

uint32_t state_load_find(const struct state_store *store, const char *consent)
{
    const struct config *config = store->names.config;
    const char *slash = strchr(consent, '/');

    if (store->load.table == NULL || slash == NULL)
        return 0;
    for (uint32_t i = 0; i < config->provider_count; i++) {
        const char *name = config->providers[i].name;
        uint32_t row;

        if (strlen(name) != (size_t)(slash - consent) ||
            memcmp(name, consent, (size_t)(slash - consent)) != 0)
            continue;
        row = consent_table_find(store->load.table, i, slash + 1);
        return row == UINT32_MAX ? 0 : store->numbers[row];
    }
    return 0;
}
