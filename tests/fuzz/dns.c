/* The DNS codec: whatever is read as a query can be answered, cut and matched within bounds. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/network/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int condition)
{
    if (!condition)
        BUG();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_query query, again;
    struct dns_reply_view view;
    struct buf out = BUF_INIT;
    struct dns_answer answer;
    uint32_t address;
    uint8_t *copy;

    if (size > DNS_QUERY_MAX_BYTES)
        return 0;
    copy = malloc(size + 1);
    memcpy(copy, data, size);
    (void)dns_truncate(copy, size);
    expect(dns_truncate(copy, size) <= size);
    if (dns_query_parse(data, size, &query) == DNS_IS_QUERY) {
        expect(strlen(query.name) < DNS_NAME_SIZE && query.question_len + 12 <= size);
        (void)dns_reverse_parse(query.name, &address);
        answer = dns_answer_begin(&out, &query, data, DNS_NOERROR);
        for (int i = 0; i < 3; i++)
            dns_answer_add_a(&answer, 0x01020304, 5);
        dns_answer_add_ptr(&answer, query.name, 5);
        dns_answer_end(&answer, query.udp_bytes);
        expect(out.len <= query.udp_bytes);
        expect(dns_reply_matches(out.data, out.len, data, size, &view));
        expect(dns_query_parse(out.data, out.len, &again) == DNS_IS_GARBAGE);
    }
    /* A hostile upstream: the first half asks, the second answers. */
    (void)dns_reply_matches(data + size / 2, size - size / 2, data, size / 2, &view);
    buf_release(&out);
    free(copy);
    return 0;
}
