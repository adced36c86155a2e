/* DNS messages. */

#include "engine/network/dns_message.h"

#include <ctype.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/str.h"
#include "engine/network/ipv4.h"

enum {
    HEADER_BYTES = 12,
    LABEL_MAX = 63,
    NAME_WIRE_MAX = 255,
    FLAG_QR = 0x8000,
    FLAG_TC = 0x0200,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080,
    OPCODE_MASK = 0x7800,
    RCODE_MASK = 0x000f,
    CLASS_IN = 1,
    POINTER_TO_QUESTION = 0xc000 | HEADER_BYTES,
    OPT_RECORD_BYTES = 11,
    OUR_UDP_BYTES = 1232, /* what we announce: no fragments anywhere (DNS flag day 2020) */
};

static uint16_t read_u16(const unsigned char *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void write_u16(unsigned char *bytes, uint16_t value)
{
    bytes[0] = (unsigned char)(value >> 8);
    bytes[1] = (unsigned char)value;
}

/* Read a name without compression; *at is behind it after. */
static bool parse_name(const unsigned char *bytes, size_t len, size_t *at, struct dns_query *query)
{
    size_t n = 0, start = *at;

    for (;;) {
        size_t label;

        if (*at >= len)
            return false;
        label = bytes[(*at)++];
        if (label == 0)
            break;
        if (label > LABEL_MAX || label > len - *at || *at + label - start > NAME_WIRE_MAX - 1)
            return false;
        if (n > 0)
            query->name[n++] = '.';
        for (size_t i = 0; i < label; i++) {
            unsigned char c = bytes[*at + i];

            query->name[n++] = c > ' ' && c < 0x7f && c != '.' ? (char)tolower(c) : '\x01';
        }
        *at += label;
        query->n_labels++;
    }
    query->name[n] = '\0'; /* at most 254 with dots for length bytes: fits */
    return true;
}

/* The additional section of a query: OPT or nothing that we look at. */
static void parse_edns(const unsigned char *bytes, size_t len, size_t at, struct dns_query *query)
{
    uint16_t udp_bytes;

    if (len - at < OPT_RECORD_BYTES || bytes[at] != 0 || read_u16(bytes + at + 1) != DNS_OPT)
        return;
    udp_bytes = read_u16(bytes + at + 3);
    query->has_edns = true;
    if (udp_bytes > query->udp_bytes)
        query->udp_bytes = udp_bytes > DNS_UDP_MAX_BYTES ? DNS_UDP_MAX_BYTES : udp_bytes;
}

enum dns_verdict dns_query_parse(const void *data, size_t len, struct dns_query *ret)
{
    const unsigned char *bytes = data;
    size_t at = HEADER_BYTES;

    *ret = (struct dns_query){.udp_bytes = DNS_UDP_MIN_BYTES};
    if (len < HEADER_BYTES)
        return DNS_IS_GARBAGE;
    ret->id = read_u16(bytes);
    ret->flags = read_u16(bytes + 2);
    if ((ret->flags & FLAG_QR) != 0)
        return DNS_IS_GARBAGE;
    if ((ret->flags & OPCODE_MASK) != 0)
        return DNS_IS_UNSUPPORTED;
    if (read_u16(bytes + 4) != 1 || read_u16(bytes + 6) != 0 || read_u16(bytes + 8) != 0 ||
        !parse_name(bytes, len, &at, ret) || len - at < 4)
        return DNS_IS_MALFORMED;
    ret->type = read_u16(bytes + at);
    ret->class = read_u16(bytes + at + 2);
    at += 4;
    ret->question_len = at - HEADER_BYTES;
    if (read_u16(bytes + 10) > 0)
        parse_edns(bytes, len, at, ret);
    return DNS_IS_QUERY;
}

static void add_u16(struct buf *out, uint16_t value)
{
    unsigned char bytes[2];

    write_u16(bytes, value);
    buf_add(out, bytes, sizeof(bytes));
}

static void add_u32(struct buf *out, uint32_t value)
{
    add_u16(out, (uint16_t)(value >> 16));
    add_u16(out, (uint16_t)value);
}

struct dns_answer dns_answer_begin(struct buf *out, const struct dns_query *query,
                                   const void *query_data, enum dns_rcode rcode)
{
    struct dns_answer answer = {.out = out, .query = query, .start = out->len};
    bool has_question = query->question_len > 0;

    add_u16(out, query->id);
    add_u16(out, (uint16_t)(FLAG_QR | FLAG_RA | (query->flags & (FLAG_RD | OPCODE_MASK)) |
                            (unsigned int)rcode));
    add_u16(out, has_question);
    add_u16(out, 0); /* answers: dns_answer_end */
    add_u16(out, 0);
    add_u16(out, 0);
    buf_add(out, (const char *)query_data + HEADER_BYTES, query->question_len);
    return answer;
}

static void begin_record(struct dns_answer *answer, enum dns_type type, uint32_t ttl_s,
                         uint16_t data_len)
{
    add_u16(answer->out, POINTER_TO_QUESTION);
    add_u16(answer->out, (uint16_t)type);
    add_u16(answer->out, CLASS_IN);
    add_u32(answer->out, ttl_s);
    add_u16(answer->out, data_len);
    answer->n_records++;
}

void dns_answer_add_a(struct dns_answer *answer, uint32_t address, uint32_t ttl_s)
{
    begin_record(answer, DNS_A, ttl_s, 4);
    add_u32(answer->out, address);
}

void dns_answer_add_ptr(struct dns_answer *answer, const char *name, uint32_t ttl_s)
{
    unsigned char wire[NAME_WIRE_MAX + 1];
    size_t n = 0;
    struct str rest = str_from(name);

    while (rest.len > 0) {
        struct str label, tail;

        if (!str_cut(rest, '.', &label, &tail))
            tail.len = 0;
        if (label.len == 0 || label.len > LABEL_MAX || n + label.len + 2 > NAME_WIRE_MAX)
            return; /* such a name can't be asked for either */
        wire[n++] = (unsigned char)label.len;
        memcpy(wire + n, label.data, label.len);
        n += label.len;
        rest = tail;
    }
    wire[n++] = 0;
    begin_record(answer, DNS_PTR, ttl_s, (uint16_t)n);
    buf_add(answer->out, wire, n);
}

static void put_answer_count(struct dns_answer *answer, uint16_t n, uint16_t n_additional)
{
    unsigned char *header = (unsigned char *)answer->out->data + answer->start;

    write_u16(header + 6, n);
    write_u16(header + 10, n_additional);
}

void dns_answer_end(struct dns_answer *answer, size_t max_bytes)
{
    size_t opt_bytes = answer->query->has_edns ? OPT_RECORD_BYTES : 0;

    if (answer->out->len - answer->start + opt_bytes > max_bytes) {
        unsigned char *flags = (unsigned char *)answer->out->data + answer->start + 2;

        write_u16(flags, (uint16_t)(read_u16(flags) | FLAG_TC));
        answer->out->len = answer->start + HEADER_BYTES + answer->query->question_len;
        answer->n_records = 0;
    }
    if (opt_bytes > 0) {
        buf_add_char(answer->out, 0); /* root */
        add_u16(answer->out, DNS_OPT);
        add_u16(answer->out, OUR_UDP_BYTES);
        add_u32(answer->out, 0);
        add_u16(answer->out, 0);
    }
    put_answer_count(answer, answer->n_records, opt_bytes > 0);
}

bool dns_reverse_parse(const char *name, uint32_t *ret_address)
{
    struct str text = str_from(name);
    uint32_t reversed;

    if (!str_ends_with(text, ".in-addr.arpa"))
        return false;
    text.len -= sizeof(".in-addr.arpa") - 1;
    if (ipv4_parse(text, &reversed, NULL) < 0)
        return false;
    *ret_address = __builtin_bswap32(reversed);
    return true;
}

bool dns_reply_matches(const void *data, size_t len, const void *sent, size_t sent_len,
                       struct dns_reply_view *ret)
{
    const unsigned char *reply = data;
    struct dns_query asked, answered;
    unsigned char question[DNS_QUERY_MAX_BYTES];
    uint16_t flags;

    if (len < HEADER_BYTES || dns_query_parse(sent, sent_len, &asked) != DNS_IS_QUERY ||
        len < HEADER_BYTES + asked.question_len ||
        HEADER_BYTES + asked.question_len > sizeof(question))
        return false;
    flags = read_u16(reply + 2);
    if ((flags & FLAG_QR) == 0 || read_u16(reply) != asked.id || read_u16(reply + 4) != 1)
        return false;
    /* Parse its question as if it were a query of nothing else. */
    memcpy(question, reply, HEADER_BYTES + asked.question_len);
    memset(question + 2, 0, HEADER_BYTES - 2);
    write_u16(question + 4, 1);
    if (dns_query_parse(question, HEADER_BYTES + asked.question_len, &answered) != DNS_IS_QUERY ||
        !text_equal(asked.name, answered.name) || asked.type != answered.type ||
        asked.class != answered.class)
        return false;
    ret->rcode = (enum dns_rcode)(flags & RCODE_MASK);
    ret->is_truncated = (flags & FLAG_TC) != 0;
    return true;
}

void dns_set_id(void *message, uint16_t id)
{
    write_u16(message, id);
}

size_t dns_truncate(void *data, size_t len)
{
    unsigned char *bytes = data;
    struct dns_query question;
    uint16_t flags;

    if (len < HEADER_BYTES)
        return 0;
    flags = read_u16(bytes + 2);
    memset(bytes + 6, 0, 6); /* no records */
    write_u16(bytes + 2, 0);
    if (dns_query_parse(bytes, len, &question) == DNS_IS_QUERY)
        len = HEADER_BYTES + question.question_len;
    else
        len = HEADER_BYTES;
    if (len == HEADER_BYTES)
        write_u16(bytes + 4, 0);
    write_u16(bytes + 2, (uint16_t)(flags | FLAG_TC));
    return len;
}
