/* resolv.conf, hosts, hostname. */

#include "engine/network/hostfiles.h"

#include "engine/base/buf.h"
#include "tests/tap.h"

static const char host_text[] = "# comment\nnameserver 10.0.0.1\n nameserver\t10.0.0.2\n"
                                "search corp.example lab.example\noptions timeout:1\n"
                                "nameserverx 1.1.1.1";

static const char *resolv_conf(const struct resolv_conf_options *options)
{
    static struct buf out;

    buf_clear(&out);
    resolv_conf_print(&out, options);
    return buf_text(&out);
}

TEST(containers_on_networks_ask_the_embedded_server)
{
    struct resolv_conf_options options = {.host_text = host_text, .has_resolver = true};

    CHECK_TEXT(resolv_conf(&options), "# Made by berth.\nnameserver 127.0.0.11\n"
                                      "search corp.example lab.example\n"
                                      "options timeout:1 ndots:0\n");
    options.host_text = "options ndots:2\n";
    CHECK_TEXT(resolv_conf(&options), "# Made by berth.\nnameserver 127.0.0.11\noptions ndots:2\n");
    options.host_text = "";
    CHECK_TEXT(resolv_conf(&options), "# Made by berth.\nnameserver 127.0.0.11\noptions ndots:0\n");
}

TEST(others_get_the_hosts_servers_or_their_own)
{
    const char *server = "9.9.9.9", *dot = ".", *option = "use-vc";
    struct resolv_conf_options options = {.host_text = host_text};

    CHECK_TEXT(resolv_conf(&options), "# Made by berth.\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n"
                                      "search corp.example lab.example\noptions timeout:1\n");
    options.dns_servers = (struct strings){&server, 1};
    options.search = (struct strings){&dot, 1};
    options.options = (struct strings){&option, 1};
    CHECK_TEXT(resolv_conf(&options), "# Made by berth.\nnameserver 9.9.9.9\noptions use-vc\n");
}

TEST(hosts_name_the_container_and_extra_hosts)
{
    const char *addresses[] = {"172.18.0.2", "172.19.0.2"};
    struct pair extra[] = {{"db", "10.1.1.1"}, {"six", "[fd00::1]"}, {"host", "host-gateway"}};
    struct hosts_options options = {.hostname = "web",
                                    .domainname = "example.org",
                                    .addresses = {addresses, 2},
                                    .extra_hosts = {extra, 3},
                                    .host_gateway = "172.18.0.1"};
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(hosts_print(&out, &options, &err), &err);
    CHECK_TEXT(buf_text(&out), "127.0.0.1\tlocalhost\n"
                               "::1\tlocalhost ip6-localhost ip6-loopback\n"
                               "10.1.1.1\tdb\nfd00::1\tsix\n172.18.0.1\thost\n"
                               "172.18.0.2\tweb.example.org web\n"
                               "172.19.0.2\tweb.example.org web\n");
    options.host_gateway = NULL;
    CHECK_FAILS(hosts_print(&out, &options, &err), ERROR_UNSUPPORTED, "extra host \"host\"");
    extra[0].value = "example.org";
    CHECK_FAILS(hosts_print(&out, &options, &err), ERROR_INVALID,
                "\"example.org\" is not an IP address");
}
