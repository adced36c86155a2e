/* DNS messages. */

#include "engine/network/dns_message.h"

#include <string.h>

#include "engine/base/buf.h"
#include "tests/tap.h"

/* id 0x1234, RD, one question: wWw.example A IN */
static const unsigned char www[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                                   "\x03wWw\x07"
                                   "example\x00\x00\x01\x00\x01";
enum { WWW_BYTES = sizeof(www) - 1 };

TEST(a_query_is_read)
{
    struct dns_query query;

    CHECK_INT(dns_query_parse(www, WWW_BYTES, &query), DNS_IS_QUERY);
    CHECK_TEXT(query.name, "www.example");
    CHECK_INT(query.n_labels, 2);
    CHECK_INT(query.id, 0x1234);
    CHECK_INT(query.type, DNS_A);
    CHECK_INT(query.class, 1);
    CHECK_INT(query.question_len, WWW_BYTES - 12);
    CHECK(!query.has_edns);
    CHECK_INT(query.udp_bytes, 512);
}

TEST(every_cut_of_a_query_is_refused)
{
    struct dns_query query;

    for (size_t len = 0; len < WWW_BYTES; len++)
        CHECK_INT(dns_query_parse(www, len, &query), len < 12 ? DNS_IS_GARBAGE : DNS_IS_MALFORMED);
}

static enum dns_verdict verdict_with(size_t at, unsigned char value)
{
    unsigned char bytes[WWW_BYTES];
    struct dns_query query;

    memcpy(bytes, www, WWW_BYTES);
    bytes[at] = value;
    return dns_query_parse(bytes, WWW_BYTES, &query);
}

TEST(what_is_no_plain_question_is_refused)
{
    CHECK_INT(verdict_with(2, 0x81), DNS_IS_GARBAGE);     /* an answer */
    CHECK_INT(verdict_with(2, 0x11), DNS_IS_UNSUPPORTED); /* status */
    CHECK_INT(verdict_with(5, 0), DNS_IS_MALFORMED);      /* no question */
    CHECK_INT(verdict_with(5, 2), DNS_IS_MALFORMED);
    CHECK_INT(verdict_with(12, 0xc0), DNS_IS_MALFORMED); /* a pointer */
    CHECK_INT(verdict_with(12, 64), DNS_IS_MALFORMED);
}

TEST(the_longest_name_fits_and_a_longer_one_is_refused)
{
    unsigned char bytes[400] = {0, 0, 1, 0, 0, 1};
    struct dns_query query;
    size_t n = 12;

    for (int i = 0; i < 127; i++) { /* 127 labels of one byte: 254 bytes and the root */
        bytes[n++] = 1;
        bytes[n++] = 'a';
    }
    memcpy(bytes + n, "\0\0\1\0\1", 5);
    CHECK_INT(dns_query_parse(bytes, n + 5, &query), DNS_IS_QUERY);
    CHECK_INT(strlen(query.name), 253);
    bytes[n++] = 1;
    bytes[n++] = 'a';
    memcpy(bytes + n, "\0\0\1\0\1", 5);
    CHECK_INT(dns_query_parse(bytes, n + 5, &query), DNS_IS_MALFORMED);
}

TEST(odd_bytes_in_names_equal_no_name_of_ours)
{
    unsigned char bytes[WWW_BYTES];
    struct dns_query query;

    memcpy(bytes, www, WWW_BYTES);
    bytes[14] = '.';
    CHECK_INT(dns_query_parse(bytes, WWW_BYTES, &query), DNS_IS_QUERY);
    CHECK_TEXT(query.name, "w\x01w.example");
}

TEST(edns_says_how_much_the_client_takes)
{
    unsigned char bytes[WWW_BYTES + 11];
    struct dns_query query;
    const char *const opt = "\0\0\x29\x05\x78\0\0\0\0\0\0"; /* 1400 */

    memcpy(bytes, www, WWW_BYTES);
    memcpy(bytes + WWW_BYTES, opt, 11);
    bytes[11] = 1;
    CHECK_INT(dns_query_parse(bytes, sizeof(bytes), &query), DNS_IS_QUERY);
    CHECK(query.has_edns);
    CHECK_INT(query.udp_bytes, 1400);
    bytes[WWW_BYTES + 3] = 0xff;
    CHECK_INT(dns_query_parse(bytes, sizeof(bytes), &query), DNS_IS_QUERY);
    CHECK_INT(query.udp_bytes, DNS_UDP_MAX_BYTES);
}

TEST(answers_have_records_and_are_cut_when_too_long)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct dns_query query;
    struct dns_answer answer;

    CHECK_INT(dns_query_parse(www, WWW_BYTES, &query), DNS_IS_QUERY);
    answer = dns_answer_begin(&out, &query, www, DNS_NOERROR);
    dns_answer_add_a(&answer, 0x0a000001, 5);
    dns_answer_end(&answer, 512);
    CHECK_INT(out.len, WWW_BYTES + 16);
    CHECK(memcmp(out.data, "\x12\x34\x81\x80\0\1\0\1\0\0\0\0\x03wWw", 16) == 0);
    CHECK(memcmp(out.data + WWW_BYTES, "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1", 16) == 0);

    buf_clear(&out);
    answer = dns_answer_begin(&out, &query, www, DNS_NOERROR);
    for (int i = 0; i < 64; i++)
        dns_answer_add_a(&answer, 0x0a000001, 5);
    dns_answer_end(&answer, 512);
    CHECK_INT(out.len, WWW_BYTES);
    CHECK((out.data[2] & 2) != 0);
    CHECK_INT(out.data[7], 0);
}

TEST(reverse_names_are_read)
{
    uint32_t address;

    CHECK(dns_reverse_parse("3.0.18.172.in-addr.arpa", &address) && address == 0xac120003);
    CHECK(!dns_reverse_parse("0.18.172.in-addr.arpa", &address));
    CHECK(!dns_reverse_parse("in-addr.arpa", &address));
    CHECK(!dns_reverse_parse("3.0.18.172.example", &address));
}

TEST(only_the_answer_to_the_question_is_taken)
{
    unsigned char reply[WWW_BYTES];
    struct dns_reply_view view;

    memcpy(reply, www, WWW_BYTES);
    CHECK(!dns_reply_matches(reply, WWW_BYTES, www, WWW_BYTES, &view)); /* a query */
    reply[2] |= 0x80;
    reply[3] |= DNS_SERVFAIL;
    CHECK(dns_reply_matches(reply, WWW_BYTES, www, WWW_BYTES, &view));
    CHECK_INT(view.rcode, DNS_SERVFAIL);
    CHECK(!dns_reply_matches(reply, WWW_BYTES - 1, www, WWW_BYTES, &view));
    reply[13] = 'W'; /* case may differ */
    CHECK(dns_reply_matches(reply, WWW_BYTES, www, WWW_BYTES, &view));
    reply[13] = 'x';
    CHECK(!dns_reply_matches(reply, WWW_BYTES, www, WWW_BYTES, &view));
    reply[13] = 'w';
    reply[0] ^= 1;
    CHECK(!dns_reply_matches(reply, WWW_BYTES, www, WWW_BYTES, &view));
}

TEST(truncation_keeps_the_question)
{
    unsigned char reply[WWW_BYTES + 20] = {0};
    struct dns_query query;

    memcpy(reply, www, WWW_BYTES);
    reply[2] |= 0x80;
    reply[7] = 1;
    CHECK_INT(dns_truncate(reply, sizeof(reply)), WWW_BYTES);
    CHECK_INT(reply[2], 0x83);
    CHECK_INT(reply[7], 0);
    CHECK_INT(dns_query_parse(reply, WWW_BYTES, &query), DNS_IS_GARBAGE);
    CHECK_INT(dns_truncate(reply, 13), 12);
    CHECK_INT(reply[5], 0);
}
