#pragma once

/* Netlink messages: built one behind the other into one buffer, sent in one system call, answered
 * with one acknowledgement each. Used for routing (rtnl) and for the firewall (nft_encode). */

#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"

struct error;

int netlink_open(int protocol, int *ret_fd, struct error *err);

struct netlink_batch {
    struct buf buf;
    uint32_t n;     /* messages; sequence numbers are 1…n */
    size_t message; /* offset of the message that is being built */
};

#define NETLINK_BATCH_INIT                                                                         \
    {                                                                                              \
        0                                                                                          \
    }
#define cleanup_netlink_batch __attribute__((cleanup(netlink_batch_release)))
void netlink_batch_release(struct netlink_batch *batch);
void netlink_batch_clear(struct netlink_batch *batch);

/* Start a message: NLM_F_REQUEST is added; `header` is the protocol's fixed header. Every message
 * is finished by the next one or by sending. Returns its sequence number. */
uint32_t netlink_message(struct netlink_batch *batch, uint16_t type, uint16_t flags,
                         const void *header, size_t header_len);
void netlink_message_add_flags(struct netlink_batch *batch, uint16_t flags);

/* Attributes of the current message. be = big endian. */
void netlink_put(struct netlink_batch *batch, uint16_t type, const void *data, size_t len);
void netlink_put_text(struct netlink_batch *batch, uint16_t type, const char *text); /* with NUL */
void netlink_put_u8(struct netlink_batch *batch, uint16_t type, uint8_t value);
void netlink_put_u16(struct netlink_batch *batch, uint16_t type, uint16_t value);
void netlink_put_u32(struct netlink_batch *batch, uint16_t type, uint32_t value);
void netlink_put_be32(struct netlink_batch *batch, uint16_t type, uint32_t value);

/* Nested attributes: returns what netlink_nest_end needs. netlink_put_raw adds padded bytes inside
 * (a fixed header within a nest). */
size_t netlink_nest(struct netlink_batch *batch, uint16_t type);
void netlink_nest_end(struct netlink_batch *batch, size_t nest);
void netlink_put_raw(struct netlink_batch *batch, const void *data, size_t len);

/* Send all and read every answer. Fails with the first error: errnum is the kernel's, the text its
 * extended one when there is; *ret_failed (may be NULL) is the sequence number. Messages that are
 * not part of an atomic batch are applied as far as they succeeded. */
int netlink_transact(int fd, struct netlink_batch *batch, uint32_t *ret_failed, struct error *err);

/* Ask and hand every answer that is data to `each`; stops at the end of the dump, or at the
 * acknowledgement (the request needs NLM_F_DUMP or NLM_F_ACK). */
typedef void netlink_each(uint16_t type, const void *payload, size_t len, void *context);
int netlink_query(int fd, struct netlink_batch *batch, netlink_each *each, void *context,
                  struct error *err);

/* Find an attribute behind a fixed header of `header_len` bytes (4-byte aligned). Returns NULL if
 * it is absent or shorter than `min_len`. */
const void *netlink_find(const void *payload, size_t len, size_t header_len, uint16_t type,
                         size_t min_len, size_t *ret_len);
