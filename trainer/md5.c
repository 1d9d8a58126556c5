#include "trainer/md5.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rotations of the four rounds, RFC 1321 section 3.4. */
static const uint8_t rotations[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static uint32_t rotate(uint32_t x, int bits)
{
    return x << bits | x >> (32 - bits);
}

static uint32_t load(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The mixing function of step i, and which word of the block it takes. */
static uint32_t mix(int i, uint32_t b, uint32_t c, uint32_t d, int *word)
{
    switch (i / 16) {
    case 0:
        *word = i;
        return (b & c) | (~b & d);
    case 1:
        *word = (5 * i + 1) % 16;
        return (b & d) | (c & ~d);
    case 2:
        *word = (3 * i + 5) % 16;
        return b ^ c ^ d;
    default:
        *word = 7 * i % 16;
        return c ^ (b | ~d);
    }
}

static void add_block(struct remat_md5 *md5, const unsigned char *block)
{
    uint32_t *state = md5->state;
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (int i = 0; i < 64; i++) {
        int word;
        uint32_t mixed = mix(i, b, c, d, &word);
        uint32_t sum = a + mixed + load(block + 4 * word) + md5->constants[i];
        a = d;
        d = c;
        c = b;
        b += rotate(sum, rotations[i / 16][i % 4]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

void remat_md5_begin(struct remat_md5 *md5)
{
    *md5 = (struct remat_md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
    for (int i = 0; i < 64; i++) /* the table of section 3.4 */
        md5->constants[i] = (uint32_t)(int64_t)(fabs(sin((double)i + 1)) * 4294967296.0);
}

void remat_md5_add(struct remat_md5 *md5, const void *data, size_t bytes)
{
    const unsigned char *in = data;
    size_t used = md5->bytes % 64;
    md5->bytes += bytes;
    if (used + bytes < 64) {
        memcpy(md5->block + used, in, bytes);
        return;
    }
    memcpy(md5->block + used, in, 64 - used);
    add_block(md5, md5->block);
    in += 64 - used;
    bytes -= 64 - used;
    for (; bytes >= 64; in += 64, bytes -= 64)
        add_block(md5, in);
    memcpy(md5->block, in, bytes);
}

void remat_md5_end(struct remat_md5 *md5, char text[33])
{
    static const unsigned char padding[64] = {0x80};
    uint64_t bits = md5->bytes * 8;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (8 * i));
    remat_md5_add(md5, padding, (119 - md5->bytes % 64) % 64 + 1);
    remat_md5_add(md5, length, 8);
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)(md5->state[i / 4] >> (8 * (i % 4)) & 255));
}
