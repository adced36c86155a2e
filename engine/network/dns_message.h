#pragma once

/* DNS messages (RFC 1035, 6891): as much as a name server for names and addresses needs. Pure.
 *
 * Input is hostile: lengths are checked everywhere, compression pointers are refused in questions
 * (nobody sends them) and never followed elsewhere. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum {
    DNS_NAME_SIZE = 256,      /* text with dots and NUL */
    DNS_UDP_MIN_BYTES = 512,  /* what every client takes */
    DNS_UDP_MAX_BYTES = 4096, /* what we send at most */
    DNS_MESSAGE_MAX_BYTES = 65535,
    DNS_QUERY_MAX_BYTES = 4096, /* what we read: one question and OPT */
};

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_ANY = 255 };
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
};

struct dns_query {
    uint16_t id;
    uint16_t flags;
    uint16_t type; /* any number: enum dns_type names those we know */
    uint16_t class;
    char name[DNS_NAME_SIZE]; /* lower case, without the last dot; bytes that are neither printable
                               * nor fit between dots are 0x01, so the name equals none of ours */
    size_t n_labels;
    size_t question_len; /* bytes behind the header */
    bool has_edns;
    uint16_t udp_bytes; /* what the client takes by UDP, within our limits */
};

enum dns_verdict {
    DNS_IS_QUERY,
    DNS_IS_GARBAGE,     /* don't answer: too short, or an answer itself */
    DNS_IS_MALFORMED,   /* answer FORMERR */
    DNS_IS_UNSUPPORTED, /* answer NOTIMP: not a standard query */
};

/* For all but garbage, ret has what an answer needs. */
enum dns_verdict dns_query_parse(const void *data, size_t len, struct dns_query *ret);

/* Build an answer. `query_data` is the message that was parsed into `query`. Local answers say RA,
 * not AA, as Docker's do. */
struct dns_answer {
    struct buf *out; /* gets the message; a limit of DNS_MESSAGE_MAX_BYTES is enough */
    const struct dns_query *query;
    size_t start; /* of the message in out */
    uint16_t n_records;
};

struct dns_answer dns_answer_begin(struct buf *out, const struct dns_query *query,
                                   const void *query_data, enum dns_rcode rcode);
void dns_answer_add_a(struct dns_answer *answer, uint32_t address, uint32_t ttl_s);
void dns_answer_add_ptr(struct dns_answer *answer, const char *name, uint32_t ttl_s);
/* Adds OPT if the client had one. Longer than max_bytes: cut to the question, with TC. */
void dns_answer_end(struct dns_answer *answer, size_t max_bytes);

/* "3.0.18.172.in-addr.arpa" → 172.18.0.3. False if it is no whole IPv4 address. */
bool dns_reverse_parse(const char *name, uint32_t *ret_address);

/* Is `data` an answer to the query that was sent as `sent` (same id, same question)? Fields that a
 * forwarder needs to know are set. */
struct dns_reply_view {
    enum dns_rcode rcode;
    bool is_truncated;
};
bool dns_reply_matches(const void *data, size_t len, const void *sent, size_t sent_len,
                       struct dns_reply_view *ret);

void dns_set_id(void *message, uint16_t id);

/* A message that is too long for the client, cut to its header and question with TC set: returns
 * the new length. `data` is changed. */
size_t dns_truncate(void *data, size_t len);
