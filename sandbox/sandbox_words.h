/* SPDX-License-Identifier: MIT
 *
 * sandbox_words.h - the words that the parts of the sandbox share: APIs, endpoints, verdicts.
 *
 * Layer:  sandbox. Typed from the providers' documentation, on purpose not shared with the code
 *         that talks to them: the two check each other.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_WORDS_H
#define REFRESHD_SANDBOX_SANDBOX_WORDS_H

#include <stdbool.h>
#include <stdint.h>

enum sandbox_api {
    SANDBOX_API_FINQWARE,
    SANDBOX_API_BUD_V1,
    SANDBOX_API_BUD_V2,
    SANDBOX_API_BUD, /* what both versions share: tokens, consents, providers */
    SANDBOX_API_COUNT
};

enum sandbox_endpoint {
    SANDBOX_ENDPOINT_CREATE,
    SANDBOX_ENDPOINT_POLL,
    SANDBOX_ENDPOINT_TOKEN,
    SANDBOX_ENDPOINT_CONSENTS,
    SANDBOX_ENDPOINT_PROVIDERS,
    SANDBOX_ENDPOINT_JWKS,
    SANDBOX_ENDPOINT_OTHER,
    SANDBOX_ENDPOINT_COUNT
};

const char *sandbox_api_text(enum sandbox_api api);
const char *sandbox_endpoint_text(enum sandbox_endpoint endpoint);

/* How a job ends. `word` is what a scenario calls it and what Bud answers as `result`. */
enum sandbox_outcome { SANDBOX_ENDS_WELL, SANDBOX_ENDS_PARTLY, SANDBOX_ENDS_BADLY };

struct sandbox_verdict {
    const char *word;
    enum sandbox_outcome outcome;
    bool reconnect_required;
};

#define SANDBOX_VERDICT_SUCCESS 0
#define SANDBOX_VERDICT_NONE 0xFF /* no such word */

/* `index` below sandbox_verdict_count. */
const struct sandbox_verdict *sandbox_verdict(uint8_t index);
uint8_t sandbox_verdict_count(void);
/* SANDBOX_VERDICT_NONE when the word is unknown. */
uint8_t sandbox_verdict_find(const char *word);

/* Mixes two numbers into one; for every seeded choice. */
uint64_t sandbox_mix(uint64_t a, uint64_t b);
/* True for `share` (0..1) of all numbers `random`, uniformly distributed. */
bool sandbox_falls_in(uint64_t random, double share);

#endif
