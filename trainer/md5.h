/* MD5 (RFC 1321), only because the publisher of CIFAR-10 names its archive's MD5. No protection against forgery. */
#ifndef REMAT_TRAINER_MD5_H
#define REMAT_TRAINER_MD5_H

#include <stddef.h>
#include <stdint.h>

struct remat_md5 {
    uint32_t constants[64];
    uint32_t state[4];
    uint64_t bytes;
    unsigned char block[64];
};

void remat_md5_begin(struct remat_md5 *md5);
void remat_md5_add(struct remat_md5 *md5, const void *data, size_t bytes);
/* 32 hexadecimal digits and a 0. */
void remat_md5_end(struct remat_md5 *md5, char text[33]);

#endif
