/* SPDX-License-Identifier: MIT
 * base64.c - three bytes to four characters. */
#include "provider/base64.h"

size_t base64_encode(const char *bytes, size_t length, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes;
    char *at = out;

    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        unsigned group = (unsigned)p[i] << 16;

        if (left > 1)
            group |= (unsigned)p[i + 1] << 8;
        if (left > 2)
            group |= p[i + 2];
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        *at++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[group & 63] : '=';
    }
    return (size_t)(at - out);
}
