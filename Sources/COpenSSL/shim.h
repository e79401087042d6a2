#ifndef QAT_COPENSSL_SHIM_H
#define QAT_COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* Swift sees neither function-like macros nor stack macros. */

static inline int qat_ssl_ctx_require_tls13(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
}

static inline void qat_ssl_ctx_set_fast_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static inline void qat_ssl_ctx_read_ahead(SSL_CTX *context) { SSL_CTX_set_read_ahead(context, 1); }

static inline void qat_ssl_ctx_disable_session_cache(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static inline int qat_general_names_count(const GENERAL_NAMES *names) {
    return sk_GENERAL_NAME_num(names);
}

static inline const GENERAL_NAME *qat_general_name_at(const GENERAL_NAMES *names, int index) {
    return sk_GENERAL_NAME_value(names, index);
}

static inline void qat_general_names_free(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

/* The URI of a name, or NULL when it is of another type. */
static inline const ASN1_IA5STRING *qat_general_name_uri(const GENERAL_NAME *name) {
    return name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;
}

static inline int qat_error_is_no_certificate(unsigned long code) {
    return ERR_GET_LIB(code) == ERR_LIB_SSL &&
           ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}

/* Whether a PEM file just had no further block. */
static inline int qat_error_is_end_of_pem(unsigned long code) {
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static inline int qat_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

static inline int qat_error_is_from_ssl(unsigned long code) {
    return ERR_GET_LIB(code) == ERR_LIB_SSL;
}

/* errno of a system call that failed, or 0: OpenSSL keeps it in the error's place for a reason. */
static inline int qat_error_system_number(unsigned long code) {
    return ERR_SYSTEM_ERROR(code) ? ERR_GET_REASON(code) : 0;
}

/* Whether it only says what the system has said, which is an entry of its own: that it has a reason, or
   that there is no such file. */
static inline int qat_error_refers_to_system(unsigned long code) {
    if (ERR_SYSTEM_ERROR(code)) return 0;
    return ERR_GET_REASON(code) == ERR_R_SYS_LIB ||
           (ERR_GET_LIB(code) == ERR_LIB_BIO && ERR_GET_REASON(code) == BIO_R_NO_SUCH_FILE);
}

static inline long qat_bio_get_mem_data(BIO *bio, char **data) {
    return BIO_get_mem_data(bio, data);
}

static inline void qat_bio_set_mem_eof_return(BIO *bio, int value) {
    BIO_set_mem_eof_return(bio, value);
}

static inline int qat_bio_reset(BIO *bio) { return (int)BIO_reset(bio); }

/* Looks for a chain from a certificate through `others` to one of `roots`, whatever their times.
 *
 * Returns X509_V_OK, or the code of what is missing; -1 when memory is. */
static inline int qat_x509_chain_fault(X509 *leaf, X509 *const *others, int other_count,
                                       X509 *const *roots, int root_count) {
    int fault = -1;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    if (store == NULL || context == NULL || untrusted == NULL) goto end;
    for (int i = 0; i < root_count; i++) {
        if (X509_STORE_add_cert(store, roots[i]) != 1) goto end;
    }
    for (int i = 0; i < other_count; i++) {
        if (sk_X509_push(untrusted, others[i]) < 1) goto end;
    }
    if (X509_STORE_CTX_init(context, store, leaf, untrusted) != 1) goto end;
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_NO_CHECK_TIME);
    fault = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
end:
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return fault;
}

static inline EVP_PKEY *qat_generate_p256_key(void) { return EVP_EC_gen("P-256"); }

static inline void qat_x509v3_set_ctx(X509V3_CTX *context, X509 *issuer, X509 *subject) {
    X509V3_set_ctx_nodb(context);
    X509V3_set_ctx(context, issuer, subject, NULL, NULL, 0);
}

#endif
