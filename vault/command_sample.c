#include "command_sample.h"

#include <inttypes.h>
#include <openssl/bn.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t command_sample_sign(char *out, const struct command_sample *sample)
{
    static char text[4096];
    int length = snprintf(
        text, sizeof text,
        "{\"typ\":\"cloister-command\",\"ver\":1,\"jti\":\"000000000000000000000000%08" PRIx32
        "\",\"aud\":[\"%s\"],\"seq\":%" PRIu64 ",\"nbf\":%" PRIu64 ",\"exp\":%" PRIu64
        ",\"profile\":\"%s\",\"argv\":[\"/usr/bin/id\",\"-u\"]%s}",
        sample->jti, sample->audience, sample->seq, sample->nbf, sample->exp, sample->profile,
        sample->more ? sample->more : "");
    if (length < 0 || (size_t)length >= sizeof text)
        abort();
    return sample_sign(out, sample->key, text, (size_t)length);
}

void command_sample_malleate(char *token, size_t length)
{
    static const char order[] = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    uint8_t signature[64];
    size_t decoded;
    BIGNUM *n = NULL, *s = NULL;
    if (sodium_base642bin(signature, sizeof signature, token + length - 86, 86, NULL, &decoded,
                          NULL, variant) != 0 ||
        decoded != sizeof signature || !BN_hex2bn(&n, order))
        abort();
    s = BN_bin2bn(signature + 32, 32, NULL);
    if (!s || !BN_sub(s, n, s) || BN_bn2binpad(s, signature + 32, 32) != 32)
        abort();
    BN_free(n);
    BN_free(s);
    sodium_bin2base64(token + length - 86, 87, signature, sizeof signature, variant);
}
