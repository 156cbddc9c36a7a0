/* SPDX-License-Identifier: MIT
 * sandbox_jws.c - RS256 and ES256 with OpenSSL's EVP interface. */
#include "sandbox/sandbox_jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_scenario.h"

struct sandbox_keys {
    EVP_PKEY *keys[2][2][2]; /* by set, algorithm, current or previous; NULL until needed */
};

struct sandbox_keys *sandbox_jws_create(struct fault *fault)
{
    struct sandbox_keys *keys = calloc(1, sizeof *keys);

    if (keys == NULL)
        (void)fault_set(fault, FAULT_INTERNAL, "out of memory for the keys");
    return keys;
}

void sandbox_jws_destroy(struct sandbox_keys *keys)
{
    if (keys == NULL)
        return;
    for (size_t i = 0; i < 8; i++)
        EVP_PKEY_free(keys->keys[i / 4][i / 2 % 2][i % 2]);
    free(keys);
}

static EVP_PKEY *key_get(struct sandbox_keys *keys, enum sandbox_key_set set, int algorithm,
                         size_t which)
{
    EVP_PKEY **key = &keys->keys[set][algorithm][which];

    if (*key == NULL)
        *key = algorithm == SANDBOX_RS256 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    return *key;
}

static void key_name(enum sandbox_key_set set, int algorithm, size_t which, char out[32])
{
    (void)snprintf(out, 32, "sandbox-%s-%s-%zu", set == SANDBOX_KEYS_BUD ? "bud" : "finq",
                   algorithm == SANDBOX_RS256 ? "rs" : "es", which + 1);
}

void sandbox_jws_base64url(struct text *out, const unsigned char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        char quad[4] = {digits[group >> 18 & 63], digits[group >> 12 & 63], digits[group >> 6 & 63],
                        digits[group & 63]};

        text_append(out, quad, left > 2 ? 4 : left + 1);
    }
}

static void append_number(struct text *out, const EVP_PKEY *key, const char *parameter)
{
    BIGNUM *number = NULL;
    unsigned char bytes[512];

    if (EVP_PKEY_get_bn_param(key, parameter, &number) == 1 &&
        BN_num_bytes(number) <= (int)sizeof bytes)
        sandbox_jws_base64url(out, bytes, (size_t)BN_bn2bin(number, bytes));
    BN_free(number);
}

static void append_key(struct text *out, const EVP_PKEY *key, int algorithm, const char *name)
{
    unsigned char point[65];
    size_t length = 0;

    if (algorithm == SANDBOX_RS256) {
        text_append_format(
            out, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"alg\":\"RS256\",\"use\":\"sig\",\"n\":\"",
            name);
        append_number(out, key, OSSL_PKEY_PARAM_RSA_N);
        text_append_string(out, "\",\"e\":\"");
        append_number(out, key, OSSL_PKEY_PARAM_RSA_E);
    } else if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                               &length) == 1 &&
               length == sizeof point) {
        text_append_format(out,
                           "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"alg\":\"ES256\","
                           "\"use\":\"sig\",\"x\":\"",
                           name);
        sandbox_jws_base64url(out, point + 1, 32);
        text_append_string(out, "\",\"y\":\"");
        sandbox_jws_base64url(out, point + 33, 32);
    }
    text_append_string(out, "\"}");
}

void sandbox_jws_write_keys(struct sandbox_keys *keys, enum sandbox_key_set set, int algorithm,
                            struct text *out)
{
    text_append_string(out, "{\"keys\":[");
    for (size_t which = 0; which < 2; which++) {
        const EVP_PKEY *key = key_get(keys, set, algorithm, which);
        char name[32];

        if (key == NULL)
            continue;
        key_name(set, algorithm, which, name);
        if (which > 0)
            text_append_string(out, ",");
        append_key(out, key, algorithm, name);
    }
    text_append_string(out, "]}");
}

/* ECDSA's DER into the 64 bytes r || s that JWS wants. */
static bool raw_from_der(const unsigned char *der, size_t length, unsigned char raw[64])
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
    bool is_good = signature != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32) == 32 &&
                   BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32) == 32;

    ECDSA_SIG_free(signature);
    return is_good;
}

bool sandbox_jws_sign(struct sandbox_keys *keys, enum sandbox_key_set set, int algorithm,
                      const char *body, size_t length, struct text *out, char key_id[32])
{
    EVP_PKEY *key = key_get(keys, set, algorithm, 0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[512];
    unsigned char raw[64];
    size_t signature_length = sizeof signature;
    size_t start = out->length;
    char header[128];
    bool is_good = false;

    key_name(set, algorithm, 0, key_id);
    (void)snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}",
                   algorithm == SANDBOX_RS256 ? "RS256" : "ES256", key_id);
    sandbox_jws_base64url(out, (const unsigned char *)header, strlen(header));
    text_append_string(out, ".");
    sandbox_jws_base64url(out, (const unsigned char *)body, length);
    if (key != NULL && context != NULL &&
        EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(context, signature, &signature_length,
                       (const unsigned char *)out->bytes + start, out->length - start) == 1) {
        text_append_string(out, ".");
        is_good = algorithm == SANDBOX_RS256 || raw_from_der(signature, signature_length, raw);
        if (algorithm == SANDBOX_RS256)
            sandbox_jws_base64url(out, signature, signature_length);
        else
            sandbox_jws_base64url(out, raw, sizeof raw);
    }
    EVP_MD_CTX_free(context);
    return is_good;
}
