/* SPDX-License-Identifier: MIT
 * sandbox_bomb.c - deflate with fixed codes (RFC 1951, 3.2.6): one blank, then "258 more of it" as
 * often as needed. The checksum at the end is right only by chance: whoever gets there has unpacked
 * everything already. */
#include "sandbox/sandbox_bomb.h"

struct bit_writer {
    struct text *out;
    uint32_t bits;
    uint32_t count;
};

static void put_bit(struct bit_writer *writer, uint32_t bit)
{
    writer->bits |= bit << writer->count;
    if (++writer->count == 8) {
        char byte = (char)writer->bits;

        text_append(writer->out, &byte, 1);
        writer->bits = 0;
        writer->count = 0;
    }
}

/* Huffman codes go most significant bit first. */
static void put_code(struct bit_writer *writer, uint32_t code, uint32_t length)
{
    while (length-- > 0)
        put_bit(writer, code >> length & 1);
}

void sandbox_bomb_write(struct text *out, uint64_t unpacked_bytes)
{
    static const char head[10] = {'\x1f', '\x8b', 8, 0, 0, 0, 0, 0, 0, 3};
    static const char tail[8] = {0};
    struct bit_writer writer = {.out = out};

    text_append(out, head, sizeof head);
    put_bit(&writer, 1); /* the last block */
    put_bit(&writer, 1); /* fixed codes: 01, least significant bit first */
    put_bit(&writer, 0);
    put_code(&writer, 0x30 + ' ', 8);
    for (uint64_t done = 1; done < unpacked_bytes; done += 258) {
        put_code(&writer, 0xC5, 8); /* length 258 */
        put_code(&writer, 0, 5);    /* distance 1 */
    }
    put_code(&writer, 0, 7); /* end of block */
    while (writer.count != 0)
        put_bit(&writer, 0);
    text_append(out, tail, sizeof tail);
}
