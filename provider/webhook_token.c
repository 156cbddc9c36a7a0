/* SPDX-License-Identifier: MIT
 * webhook_token.c - made and checked by the same code, so that only one spelling is ever good. */
#include "provider/webhook_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/result.h"

#define NUMBER_BYTES 10 /* job 8, attempt 2, most significant byte first */
#define NUMBER_CHARACTERS 14
#define MAC_BYTES 16
#define MAC_CHARACTERS 22

/* What else this key may ever sign cannot be taken for a token. */
static const char purpose[] = "refreshd webhook token 1";

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648 section 5, without padding. */
static char *encode(const uint8_t *bytes, size_t length, char *out)
{
    uint32_t bits = 0;
    int held = 0;

    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6) {
            *out++ = alphabet[bits >> (held - 6) & 63];
        }
    }
    if (held > 0) {
        *out++ = alphabet[bits << (6 - held) & 63];
    }
    return out;
}

static bool decode_number(const char *text, uint8_t bytes[NUMBER_BYTES])
{
    uint32_t bits = 0;
    int held = 0;

    for (size_t i = 0; i < NUMBER_CHARACTERS; i++) {
        const char *place = text[i] != '\0' ? strchr(alphabet, text[i]) : NULL;

        if (place == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(place - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            *bytes++ = (uint8_t)(bits >> held);
        }
    }
    return true;
}

void webhook_token_make(const uint8_t key[WEBHOOK_TOKEN_KEY_BYTES], uint64_t job, uint16_t attempt,
                        char token[WEBHOOK_TOKEN_SIZE])
{
    uint8_t message[sizeof purpose + NUMBER_BYTES];
    uint8_t *number = message + sizeof purpose;
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_length = 0;
    char *end;

    memcpy(message, purpose, sizeof purpose);
    for (int i = 0; i < 8; i++) {
        number[i] = (uint8_t)(job >> (56 - 8 * i));
    }
    number[8] = (uint8_t)(attempt >> 8);
    number[9] = (uint8_t)attempt;
    /* It can only fail for lack of memory; a token that nobody can verify would lose a webhook. */
    REQUIRE(HMAC(EVP_sha256(), key, WEBHOOK_TOKEN_KEY_BYTES, message, sizeof message, mac,
                 &mac_length) != NULL);
    REQUIRE(mac_length >= MAC_BYTES);
    end = encode(number, NUMBER_BYTES, token);
    *end++ = '.';
    end = encode(mac, MAC_BYTES, end);
    *end = '\0';
    OPENSSL_cleanse(mac, sizeof mac);
}

bool webhook_token_verify(const uint8_t key[WEBHOOK_TOKEN_KEY_BYTES], const char *text,
                          size_t length, uint64_t *job, uint16_t *attempt)
{
    char expected[WEBHOOK_TOKEN_SIZE];
    uint8_t number[NUMBER_BYTES];
    uint64_t read_job = 0;
    uint16_t read_attempt;
    bool is_good;

    if (length != WEBHOOK_TOKEN_SIZE - 1 || !decode_number(text, number)) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        read_job = read_job << 8 | number[i];
    }
    read_attempt = (uint16_t)(number[8] << 8 | number[9]);
    webhook_token_make(key, read_job, read_attempt, expected);
    is_good = CRYPTO_memcmp(expected, text, WEBHOOK_TOKEN_SIZE - 1) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    if (is_good) {
        *job = read_job;
        *attempt = read_attempt;
    }
    return is_good;
}
