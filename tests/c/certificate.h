/* A certificate made for one run of a test, in files of a folder of its own. */
#ifndef WS_TESTS_CERTIFICATE_H
#define WS_TESTS_CERTIFICATE_H

typedef struct test_certificate {
    char folder[256], file[288], key[288]; /* PEM */
    char pin[70];                          /* its right pin */
} test_certificate;

/*
 * Signed by itself, valid now, for these names: DNS names with commas between them, whatever bytes they are, "ip:"
 * before an IPv4 address.
 */
void test_certificate_make(test_certificate* certificate, const char* names);
void test_certificate_remove(const test_certificate* certificate);

#endif
