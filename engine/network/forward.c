/* Asking other name servers. */

#include "engine/network/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/list.h"
#include "engine/base/trace.h"
#include "engine/network/dns_message.h"
#include "engine/network/netns.h"

enum {
    FORWARDS_MAX = 512,
    UPSTREAMS_MAX = 3, /* as resolv.conf(5) */
    HEDGE_MS = 400,
    TOTAL_MS = 5000,
    RESOLV_CONF_MAX_BYTES = 64 * 1024,
    DNS_PORT = 53,
    LENGTH_BYTES = 2,
};

struct upstream {
    struct sockaddr_storage address;
    socklen_t len;
};

struct upstreams {
    struct upstream items[UPSTREAMS_MAX];
    size_t n;
};

struct forwarder {
    struct event_base *base;
    char *resolv_conf;
    struct stat seen; /* of the file when it was read */
    struct upstreams host;
    struct list forwards;
    size_t n_forwards;
};

/* One server asked. */
struct attempt {
    struct forward *forward;
    int fd;
    struct event *event;
    uint16_t id;
    struct buf out; /* TCP: what is not sent yet */
    struct buf in;  /* TCP */
    bool has_failed;
};

struct forward {
    struct list list;
    struct forwarder *forwarder;
    struct forward_request request;
    unsigned char *query;
    struct upstreams upstreams;
    struct attempt attempts[UPSTREAMS_MAX];
    size_t n_attempts;
    struct event *hedge; /* next attempt, also the first */
    struct event *deadline;
    struct buf refusal; /* the last SERVFAIL or REFUSED: better than nothing */
};

/* Servers. */

static bool parse_upstream(struct str text, struct upstream *ret)
{
    cleanup_free char *copy = x_strndup(text.data, text.len);
    char *zone = strchr(copy, '%');
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)};

    *ret = (struct upstream){0};
    if (inet_pton(AF_INET, copy, &v4.sin_addr) == 1) {
        memcpy(&ret->address, &v4, sizeof(v4));
        ret->len = sizeof(v4);
        return true;
    }
    if (zone != NULL) {
        *zone = '\0';
        v6.sin6_scope_id = if_nametoindex(zone + 1);
    }
    if (inet_pton(AF_INET6, copy, &v6.sin6_addr) != 1)
        return false;
    memcpy(&ret->address, &v6, sizeof(v6));
    ret->len = sizeof(v6);
    return true;
}

int upstreams_parse(const struct strings *servers, struct upstreams **ret, struct error *err)
{
    cleanup_free struct upstreams *upstreams = x_alloc(sizeof(*upstreams));

    for (size_t i = 0; i < servers->n; i++) {
        struct upstream upstream;

        if (!parse_upstream(str_from(servers->items[i]), &upstream))
            return error_set(err, ERROR_INVALID, "name server \"%s\" is not an IP address",
                             servers->items[i]);
        if (upstreams->n < UPSTREAMS_MAX)
            upstreams->items[upstreams->n++] = upstream;
    }
    *ret = ptr_take(&upstreams);
    return 0;
}

void upstreams_free(struct upstreams *upstreams)
{
    free(upstreams);
}

static void read_resolv_conf(struct forwarder *forwarder)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct str rest, line;

    buf_init(&text, RESOLV_CONF_MAX_BYTES);
    forwarder->host.n = 0;
    if (fs_read_file(AT_FDCWD, forwarder->resolv_conf, RESOLV_CONF_MAX_BYTES, &text, NULL) < 0)
        buf_clear(&text); /* as resolv.conf(5): none is 127.0.0.1 */
    for (rest = buf_str(&text); rest.len > 0 && forwarder->host.n < UPSTREAMS_MAX;) {
        if (!str_cut(rest, '\n', &line, &rest))
            rest.len = 0;
        line = str_trim(line);
        if (!str_starts_with(line, "nameserver") || line.len < sizeof("nameserver "))
            continue;
        line.data += sizeof("nameserver") - 1;
        line.len -= sizeof("nameserver") - 1;
        if (parse_upstream(str_trim(line), &forwarder->host.items[forwarder->host.n]))
            forwarder->host.n++;
    }
    if (forwarder->host.n == 0 && parse_upstream(STR("127.0.0.1"), &forwarder->host.items[0]))
        forwarder->host.n = 1;
}

static const struct upstreams *host_upstreams(struct forwarder *forwarder)
{
    struct stat now = {0};

    if (stat(forwarder->resolv_conf, &now) < 0)
        now = (struct stat){0};
    if (forwarder->host.n == 0 || now.st_ino != forwarder->seen.st_ino ||
        now.st_size != forwarder->seen.st_size || now.st_dev != forwarder->seen.st_dev ||
        now.st_mtim.tv_sec != forwarder->seen.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != forwarder->seen.st_mtim.tv_nsec) {
        forwarder->seen = now;
        read_resolv_conf(forwarder);
    }
    return &forwarder->host;
}

/* Attempts. */

static void event_drop(struct event **event)
{
    if (*event != NULL)
        event_free(*event);
    *event = NULL;
}

static void attempt_end(struct attempt *attempt)
{
    event_drop(&attempt->event);
    cleanup_close_fd(&attempt->fd);
    attempt->fd = -1;
    buf_release(&attempt->out);
    buf_release(&attempt->in);
}

static void forward_free(struct forward *forward)
{
    for (size_t i = 0; i < forward->n_attempts; i++)
        attempt_end(&forward->attempts[i]);
    event_drop(&forward->hedge);
    event_drop(&forward->deadline);
    buf_release(&forward->refusal);
    list_remove(&forward->list);
    forward->forwarder->n_forwards--;
    free(forward->query);
    free(forward);
}

static uint16_t query_id(const struct forward *forward)
{
    return (uint16_t)(forward->query[0] << 8 | forward->query[1]);
}

/* Hand over and end. The call back may start new forwards, but not see this one. */
static void forward_finish(struct forward *forward, struct buf *answer)
{
    struct forward_request request = forward->request;
    cleanup_buf struct buf owned = *answer;

    *answer = (struct buf)BUF_INIT;
    if (owned.len > 0)
        dns_set_id(owned.data, query_id(forward));
    forward_free(forward);
    request.answered(request.context, owned.data, owned.len);
}

static const struct timeval now_time = {0};

/* This server is of no use: ask the next at once; when none is left, give up. */
static void attempt_fail(struct attempt *attempt)
{
    struct forward *forward = attempt->forward;

    attempt_end(attempt);
    attempt->has_failed = true;
    if (forward->n_attempts < forward->upstreams.n) {
        (void)event_add(forward->hedge, &now_time);
        return;
    }
    for (size_t i = 0; i < forward->n_attempts; i++)
        if (!forward->attempts[i].has_failed)
            return;
    forward_finish(forward, &forward->refusal);
}

static void attempt_take(struct attempt *attempt, const void *data, size_t len)
{
    struct forward *forward = attempt->forward;
    cleanup_free unsigned char *sent = x_alloc(forward->request.len);
    struct dns_reply_view view;
    struct buf answer = BUF_INIT;

    memcpy(sent, forward->query, forward->request.len);
    dns_set_id(sent, attempt->id);
    if (!dns_reply_matches(data, len, sent, forward->request.len, &view))
        return; /* forged or late: go on waiting */
    buf_add(&answer, data, len);
    if (view.rcode == DNS_SERVFAIL || view.rcode == DNS_REFUSED || view.rcode == DNS_NOTIMP) {
        buf_release(&forward->refusal);
        forward->refusal = answer;
        attempt_fail(attempt);
        return;
    }
    forward_finish(forward, &answer);
}

static void on_udp_answer(evutil_socket_t fd, short what, void *context)
{
    struct attempt *attempt = context;
    char bytes[DNS_UDP_MAX_BYTES];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

    (void)what;
    if (n > (ssize_t)sizeof(bytes)) /* nobody asked for so much by UDP */
        n = (ssize_t)dns_truncate(bytes, sizeof(bytes));
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        attempt_fail(attempt); /* ECONNREFUSED: nobody listens there */
    else if (n > 0)
        attempt_take(attempt, bytes, (size_t)n);
}

static void on_tcp(evutil_socket_t fd, short what, void *context);

static int watch_tcp(struct attempt *attempt)
{
    short what = attempt->out.len > 0 ? EV_WRITE : EV_READ;

    event_drop(&attempt->event);
    attempt->event =
        event_new(attempt->forward->forwarder->base, attempt->fd, what, on_tcp, attempt);
    return attempt->event != NULL && event_add(attempt->event, NULL) == 0 ? 0 : -1;
}

static void on_tcp(evutil_socket_t fd, short what, void *context)
{
    struct attempt *attempt = context;
    char bytes[DNS_UDP_MAX_BYTES];
    ssize_t n;

    if ((what & EV_WRITE) != 0) {
        n = send(fd, attempt->out.data, attempt->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            buf_consume(&attempt->out, (size_t)n);
    } else {
        n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0)
            buf_add(&attempt->in, bytes, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || attempt->in.truncated) {
        attempt_fail(attempt);
        return;
    }
    if (attempt->in.len >= LENGTH_BYTES) {
        const unsigned char *prefix = (const unsigned char *)attempt->in.data;
        size_t len = (size_t)prefix[0] << 8 | prefix[1];

        if (attempt->in.len >= LENGTH_BYTES + len) {
            struct buf message = attempt->in; /* attempt_take may end the attempt */

            attempt->in = (struct buf)BUF_INIT;
            event_drop(&attempt->event);
            attempt_take(attempt, message.data + LENGTH_BYTES, len);
            buf_release(&message);
            return; /* what doesn't match ends with the deadline */
        }
    }
    if (watch_tcp(attempt) < 0)
        attempt_fail(attempt);
}

static int open_socket(const struct forward *forward, int family)
{
    cleanup_netns_visit struct netns_visit visit = NETNS_VISIT_INIT;
    int type = forward->request.is_tcp ? SOCK_STREAM : SOCK_DGRAM;

    if (forward->request.netns_fd >= 0 &&
        netns_visit_begin(&visit, forward->request.netns_fd, NULL) < 0)
        return -1;
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static bool attempt_send(struct attempt *attempt)
{
    struct forward *forward = attempt->forward;
    size_t len = forward->request.len;
    unsigned char prefix[LENGTH_BYTES] = {(unsigned char)(len >> 8), (unsigned char)len};
    unsigned char *query;

    buf_add(&attempt->out, prefix, sizeof(prefix));
    buf_add(&attempt->out, forward->query, len);
    query = (unsigned char *)attempt->out.data + LENGTH_BYTES;
    dns_set_id(query, attempt->id);
    if (forward->request.is_tcp) {
        buf_init(&attempt->in, LENGTH_BYTES + DNS_MESSAGE_MAX_BYTES + DNS_UDP_MAX_BYTES);
        return watch_tcp(attempt) == 0;
    }
    attempt->event = event_new(forward->forwarder->base, attempt->fd, EV_READ | EV_PERSIST,
                               on_udp_answer, attempt);
    return attempt->event != NULL && event_add(attempt->event, NULL) == 0 &&
           send(attempt->fd, query, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void start_attempt(struct forward *forward)
{
    const struct upstream *upstream = &forward->upstreams.items[forward->n_attempts];
    struct attempt *attempt = &forward->attempts[forward->n_attempts++];

    attempt->forward = forward;
    attempt->fd = open_socket(forward, upstream->address.ss_family);
    if (getrandom(&attempt->id, sizeof(attempt->id), 0) != (ssize_t)sizeof(attempt->id) ||
        attempt->fd < 0 ||
        (connect(attempt->fd, (const struct sockaddr *)&upstream->address, upstream->len) < 0 &&
         errno != EINPROGRESS) ||
        !attempt_send(attempt))
        attempt_fail(attempt);
}

static void on_hedge(evutil_socket_t fd, short what, void *context)
{
    static const struct timeval next = {.tv_usec = HEDGE_MS * 1000};
    struct forward *forward = context;

    (void)fd;
    (void)what;
    if (forward->n_attempts >= forward->upstreams.n)
        return;
    if (forward->n_attempts + 1 < forward->upstreams.n)
        (void)event_add(forward->hedge, &next); /* before: the attempt may end the forward */
    start_attempt(forward);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct forward *forward = context;

    (void)fd;
    (void)what;
    forward_finish(forward, &forward->refusal);
}

int forward_start(struct forwarder *forwarder, const struct forward_request *request,
                  struct forward **ret, struct error *err)
{
    static const struct timeval total = {.tv_sec = TOTAL_MS / 1000};
    struct forward *forward;

    if (forwarder->n_forwards >= FORWARDS_MAX)
        return error_set(err, ERROR_CONFLICT, "%d name queries are under way already",
                         FORWARDS_MAX);
    forward = x_alloc(sizeof(*forward));
    forward->forwarder = forwarder;
    forward->request = *request;
    forward->query = x_alloc(request->len);
    memcpy(forward->query, request->query, request->len);
    forward->upstreams =
        request->upstreams != NULL ? *request->upstreams : *host_upstreams(forwarder);
    list_append(&forwarder->forwards, &forward->list);
    forwarder->n_forwards++;
    forward->hedge = event_new(forwarder->base, -1, 0, on_hedge, forward);
    forward->deadline = event_new(forwarder->base, -1, 0, on_deadline, forward);
    if (forward->hedge == NULL || forward->deadline == NULL ||
        event_add(forward->hedge, &now_time) < 0 || event_add(forward->deadline, &total) < 0) {
        forward_free(forward);
        return error_set(err, ERROR_SYSTEM, "forward a name query: event loop");
    }
    *ret = forward;
    return 0;
}

void forward_cancel(struct forward *forward)
{
    forward_free(forward);
}

struct forwarder *forwarder_new(struct event_base *base, const char *resolv_conf)
{
    struct forwarder *forwarder = x_alloc(sizeof(*forwarder));

    forwarder->base = base;
    forwarder->resolv_conf = x_strdup(resolv_conf);
    list_init(&forwarder->forwards);
    return forwarder;
}

void forwarder_free(struct forwarder *forwarder)
{
    if (forwarder == NULL)
        return;
    list_for_each (item, &forwarder->forwards)
        forward_free(container_of(item, struct forward, list));
    free(forwarder->resolv_conf);
    free(forwarder);
}
