/* Opening a private key: a file through OSSL_DECODER, anything else through OSSL_STORE. */
#include "key.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "files.h"

#define FILE_MAX 65536

/* One key being opened. */
struct opening {
    struct key_source *source;
    bool asked;      /* the key wanted a passphrase */
    bool unanswered; /* and there was none, which has been said */
};

/* pem_password_cb: the passphrase of a file, the PIN of a token. */
static int answer(char *out, int capacity, int writing, void *context)
{
    struct opening *opening = context;
    char prompt[320];
    (void)writing;
    snprintf(prompt, sizeof(prompt), "Passphrase or PIN of %s: ", shown(opening->source->name));
    opening->asked = true;
    if (opening->unanswered)
        return -1;
    const char *passphrase = passphrase_get(&opening->source->passphrase, prompt, false);
    size_t length = passphrase ? strlen(passphrase) : 0;
    if (!passphrase || length > (size_t)capacity) {
        opening->unanswered = true;
        return -1;
    }
    memcpy(out, passphrase, length);
    return (int)length;
}

static void explain(const struct opening *opening)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    if (opening->unanswered)
        return;
    if (opening->asked)
        complain(NULL, "%s: the passphrase or PIN is wrong, or the key is damaged",
                 shown(opening->source->name));
    else
        complain("a file holds PEM or DER; a URI may need --provider, see cloister-sign(1)",
                 "%s: there is no private key: %s", shown(opening->source->name),
                 why ? why : "nothing was found");
}

static EVP_PKEY *decode(struct opening *opening, const struct file *file)
{
    EVP_PKEY *key = NULL;
    const unsigned char *at = file->bytes;
    size_t left = file->length;
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&key, NULL, NULL, NULL, EVP_PKEY_KEYPAIR, NULL, NULL);
    if (decoder && OSSL_DECODER_CTX_set_pem_password_cb(decoder, answer, opening) == 1 &&
        OSSL_DECODER_from_data(decoder, &at, &left) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    OSSL_DECODER_CTX_free(decoder);
    return key;
}

static EVP_PKEY *open_file(struct opening *opening)
{
    struct file file;
    int error = file_read(&file, opening->source->name, FILE_MAX);
    if (error) {
        complain(NULL, "%s: %s", shown(opening->source->name), strerror(-error));
        opening->unanswered = true;
        return NULL;
    }
    if (file.mode & 077)
        fprintf(stderr, "warning: others may read or change %s: chmod 600\n",
                shown(opening->source->name));
    EVP_PKEY *key = decode(opening, &file);
    file_free(&file);
    return key;
}

/* The first private key behind a URI. */
static EVP_PKEY *load(OSSL_STORE_CTX *store)
{
    EVP_PKEY *key = NULL;
    if (OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) != 1)
        return NULL;
    while (!key && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (!info && OSSL_STORE_error(store))
            break;
        if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
            key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    return key;
}

static EVP_PKEY *open_uri(struct opening *opening)
{
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(answer, 0);
    OSSL_STORE_CTX *store =
        ui ? OSSL_STORE_open_ex(opening->source->name, NULL, NULL, ui, opening, NULL, NULL, NULL)
           : NULL;
    EVP_PKEY *key = store ? load(store) : NULL;
    OSSL_STORE_close(store);
    UI_destroy_method(ui);
    return key;
}

/* RFC 3986: a scheme, and a colon. A file of that name is a file. */
static bool is_uri(const char *name)
{
    const char *at = name;
    if (!isalpha((unsigned char)*at) || access(name, F_OK) == 0)
        return false;
    while (isalnum((unsigned char)*at) || (*at && strchr("+-.", *at)))
        at++;
    return *at == ':';
}

static bool load_providers(const struct key_source *source)
{
    /* They stay for as long as the process lives, and something must hold them. */
    static OSSL_PROVIDER *held[1 + KEY_PROVIDERS_MAX];
    const char *why, *name = "default";
    held[0] = OSSL_PROVIDER_load(NULL, name);
    bool loaded = held[0] != NULL;
    for (unsigned i = 0; loaded && i < source->providers_count; i++) {
        name = source->providers[i];
        held[i + 1] = OSSL_PROVIDER_load(NULL, name);
        loaded = held[i + 1] != NULL;
    }
    if (loaded)
        return true;
    why = ERR_reason_error_string(ERR_peek_last_error());
    complain("'openssl list -providers -provider NAME' must know it", "provider %s: %s",
             shown(name), why ? why : "it cannot be loaded");
    return false;
}

static bool is_p256(EVP_PKEY *key, const char *name)
{
    char group[64] = "";
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
        (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0))
        return true;
    complain("'cloister-sign keygen' makes one", "%s: not a key on P-256, which ES256 is made with",
             shown(name));
    return false;
}

EVP_PKEY *key_open(struct key_source *source)
{
    struct opening opening = {.source = source};
    if (!load_providers(source))
        return NULL;
    ERR_clear_error();
    EVP_PKEY *key = is_uri(source->name) ? open_uri(&opening) : open_file(&opening);
    if (!key) {
        explain(&opening);
        return NULL;
    }
    if (!is_p256(key, source->name)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}
