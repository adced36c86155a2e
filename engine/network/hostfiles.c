/* The three files about names. */

#include "engine/network/hostfiles.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

/* Is it the line of this keyword? Then *ret_rest is what follows it. */
static bool is_line_of(struct str line, const char *keyword, struct str *ret_rest)
{
    size_t len = strlen(keyword);

    line = str_trim(line);
    if (!str_starts_with(line, keyword) || line.len <= len ||
        (line.data[len] != ' ' && line.data[len] != '\t'))
        return false;
    *ret_rest = str_trim((struct str){line.data + len, line.len - len});
    return true;
}

/* The rest of the last line with the keyword (resolv.conf(5): the last search wins), or empty. */
static struct str find_last(const char *text, const char *keyword)
{
    struct str rest = str_from(text), line, found = {NULL, 0}, value;

    while (rest.len > 0) {
        if (!str_cut(rest, '\n', &line, &rest))
            rest.len = 0;
        if (is_line_of(line, keyword, &value))
            found = value;
    }
    return found;
}

static void print_list(struct buf *out, const struct strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        buf_printf(out, " %s", list->items[i]);
}

static void print_servers(struct buf *out, const struct resolv_conf_options *options)
{
    struct str rest = str_from(options->host_text), line, server;

    for (size_t i = 0; i < options->dns_servers.n; i++)
        buf_printf(out, "nameserver %s\n", options->dns_servers.items[i]);
    if (options->dns_servers.n > 0)
        return;
    while (rest.len > 0) {
        if (!str_cut(rest, '\n', &line, &rest))
            rest.len = 0;
        if (is_line_of(line, "nameserver", &server))
            buf_printf(out, "nameserver " STR_FMT "\n", STR_ARG(server));
    }
}

static void print_search(struct buf *out, const struct resolv_conf_options *options)
{
    struct str host = find_last(options->host_text, "search");

    if (options->search.n == 1 && text_equal(options->search.items[0], "."))
        return;
    if (options->search.n > 0) {
        buf_add_text(out, "search");
        print_list(out, &options->search);
        buf_add_char(out, '\n');
    } else if (host.len > 0) {
        buf_printf(out, "search " STR_FMT "\n", STR_ARG(host));
    }
}

static bool has_ndots(struct str words)
{
    struct str word;

    while (words.len > 0) {
        if (!str_cut(words, ' ', &word, &words))
            words.len = 0;
        if (str_starts_with(word, "ndots:"))
            return true;
    }
    return false;
}

static void print_options(struct buf *out, const struct resolv_conf_options *options)
{
    cleanup_buf struct buf words = BUF_INIT;
    struct str host = find_last(options->host_text, "options");
    struct str text;

    if (options->options.n > 0)
        print_list(&words, &options->options);
    else
        buf_add_str(&words, host);
    text = str_trim(buf_str(&words));
    if (options->has_resolver && !has_ndots(text))
        buf_printf(out, "options " STR_FMT "%sndots:0\n", STR_ARG(text), text.len > 0 ? " " : "");
    else if (text.len > 0)
        buf_printf(out, "options " STR_FMT "\n", STR_ARG(text));
}

void resolv_conf_print(struct buf *out, const struct resolv_conf_options *options)
{
    buf_add_text(out, "# Made by berth.\n");
    if (options->has_resolver)
        buf_add_text(out, "nameserver 127.0.0.11\n");
    else
        print_servers(out, options);
    print_search(out, options);
    print_options(out, options);
}

static bool is_address(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static int print_extra_host(struct buf *out, const struct hosts_options *options,
                            const struct pair *extra, struct error *err)
{
    const char *value = extra->value != NULL ? extra->value : "";
    size_t len = strlen(value);
    cleanup_free char *bare = len > 2 && value[0] == '[' && value[len - 1] == ']'
                                  ? x_strndup(value + 1, len - 2)
                                  : x_strdup(value);

    if (text_equal(value, "host-gateway")) {
        if (options->host_gateway == NULL)
            return error_set(err, ERROR_UNSUPPORTED,
                             "extra host \"%s\": host-gateway needs a network with a way out",
                             extra->name);
        buf_printf(out, "%s\t%s\n", options->host_gateway, extra->name);
        return 0;
    }
    if (!is_address(bare))
        return error_set(err, ERROR_INVALID, "extra host \"%s\": \"%s\" is not an IP address",
                         extra->name, value);
    buf_printf(out, "%s\t%s\n", bare, extra->name);
    return 0;
}

int hosts_print(struct buf *out, const struct hosts_options *options, struct error *err)
{
    buf_add_text(out, "127.0.0.1\tlocalhost\n"
                      "::1\tlocalhost ip6-localhost ip6-loopback\n");
    if (options->has_ipv6)
        buf_add_text(out, "fe00::\tip6-localnet\n"
                          "ff00::\tip6-mcastprefix\n"
                          "ff02::1\tip6-allnodes\n"
                          "ff02::2\tip6-allrouters\n");
    for (size_t i = 0; i < options->extra_hosts.n; i++)
        if (print_extra_host(out, options, &options->extra_hosts.items[i], err) < 0)
            return -1;
    for (size_t i = 0; i < options->addresses.n; i++) {
        buf_printf(out, "%s\t", options->addresses.items[i]);
        if (options->domainname != NULL)
            buf_printf(out, "%s.%s ", options->hostname, options->domainname);
        buf_printf(out, "%s\n", options->hostname);
    }
    return 0;
}

void hostname_print(struct buf *out, const char *hostname)
{
    buf_printf(out, "%s\n", hostname);
}
