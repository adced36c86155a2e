/* Choosing subnets and addresses. */

#include "engine/network/allocate.h"

#include <string.h>

#include "tests/tap.h"

static struct ipv4_prefix prefix(const char *text)
{
    struct ipv4_prefix parsed = {0};
    struct error err = ERROR_INIT;

    CHECK_OK(ipv4_prefix_parse(str_from(text), &parsed, &err), &err);
    return parsed;
}

static const char *subnet_with(const char *taken_text, const char *route_text)
{
    static char text[IPV4_PREFIX_TEXT_SIZE];
    struct ipv4_prefix taken = {0}, route = {0}, found;
    struct prefix_list takens = {&taken, 0}, routes = {&route, 0};
    struct error err = ERROR_INIT;

    if (taken_text != NULL) {
        taken = prefix(taken_text);
        takens.n = 1;
    }
    if (route_text != NULL) {
        route = prefix(route_text);
        routes.n = 1;
    }
    CHECK_OK(allocate_subnet(&takens, &routes, &found, &err), &err);
    ipv4_prefix_print(found, text);
    return text;
}

TEST(the_first_subnet_is_behind_docker0)
{
    CHECK_TEXT(subnet_with(NULL, NULL), "172.18.0.0/24");
}

TEST(subnets_that_overlap_are_passed_over)
{
    CHECK_TEXT(subnet_with("172.18.0.128/25", NULL), "172.18.1.0/24");
    CHECK_TEXT(subnet_with("172.16.0.0/12", NULL), "192.168.0.0/24");
    CHECK_TEXT(subnet_with("172.18.0.0/32", NULL), "172.18.1.0/24");
    CHECK_TEXT(subnet_with(NULL, "172.18.0.0/16"), "172.19.0.0/24");
}

TEST(default_routes_and_their_halves_do_not_count)
{
    CHECK_TEXT(subnet_with(NULL, "0.0.0.0/0"), "172.18.0.0/24");
    CHECK_TEXT(subnet_with(NULL, "128.0.0.0/1"), "172.18.0.0/24");
}

TEST(routes_that_cover_everything_are_ignored)
{
    struct ipv4_prefix all[] = {prefix("172.16.0.0/12"), prefix("192.168.0.0/16"),
                                prefix("10.0.0.0/8")};
    struct prefix_list none = {NULL, 0}, routes = {all, 3};
    struct ipv4_prefix found;
    struct error err = ERROR_INIT;

    CHECK_OK(allocate_subnet(&none, &routes, &found, &err), &err);
    CHECK(found.address == 0xac120000 && found.length == 24);
    CHECK_FAILS(allocate_subnet(&routes, &none, &found, &err), ERROR_CONFLICT, "no free /24");
}

TEST(the_lowest_free_address_is_given)
{
    struct ipv4_prefix net = prefix("10.0.0.0/29");
    uint32_t base = 0x0a000000, used[] = {base + 2, base + 3, base + 5}, address;
    uint32_t all[] = {base + 2, base + 3, base + 4, base + 5, base + 6};
    struct error err = ERROR_INIT;

    CHECK_OK(allocate_address(net, base + 1, NULL, 0, &address, &err), &err);
    CHECK_INT(address, base + 2);
    CHECK_OK(allocate_address(net, base + 1, used, 3, &address, &err), &err);
    CHECK_INT(address, base + 4);
    CHECK_OK(allocate_address(net, base + 4, used, 3, &address, &err), &err);
    CHECK_INT(address, base + 1);
    CHECK_FAILS(allocate_address(net, base + 1, all, 5, &address, &err), ERROR_CONFLICT,
                "all addresses");
}

TEST(reserved_addresses_are_refused)
{
    struct ipv4_prefix net = prefix("10.0.0.0/24");
    struct error err = ERROR_INIT;

    CHECK_OK(allocate_check_address(net, 0x0a000001, 0x0a000007, &err), &err);
    CHECK_FAILS(allocate_check_address(net, 0x0a000001, 0x0a000001, &err), ERROR_INVALID,
                "gateway");
    CHECK_FAILS(allocate_check_address(net, 0x0a000001, 0x0a0000ff, &err), ERROR_INVALID,
                "reserved");
    CHECK_FAILS(allocate_check_address(net, 0x0a000001, 0x0a000100, &err), ERROR_INVALID,
                "not in the subnet");
}

TEST(subnets_and_addresses_are_parsed_strictly)
{
    const char *const bad[] = {
        "10.0.0.0",  "10.0.0/24",    "10.0.0.0/33", "10.0.0.256/24", "10.0.0.0/", "/24",
        "a.b.c.d/8", "10.0.0.0/24 ", "010.0.0.0/8", "10.0.0.0.0/8",  "",          "10..0.0/8"};
    struct ipv4_prefix found;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_FAILS(ipv4_prefix_parse(str_from(bad[i]), &found, &err), ERROR_INVALID,
                    "is not an IPv4 subnet");
    CHECK_FAILS(ipv4_prefix_parse(STR("10.0.0.1/24"), &found, &err), ERROR_INVALID,
                "use 10.0.0.0/24");
}

TEST(names_fit_and_differ)
{
    char a[ALLOCATE_IFNAME_SIZE], b[ALLOCATE_IFNAME_SIZE];
    uint8_t mac[ALLOCATE_MAC_BYTES];

    allocate_bridge_name("shop_default", a);
    allocate_bridge_name("shop_back", b);
    CHECK_INT(strlen(a), 14);
    CHECK(strncmp(a, "bt-", 3) == 0 && strcmp(a, b) != 0);
    allocate_bridge_mac("shop_default", mac);
    CHECK_INT(mac[0] & 3, 2);
}
