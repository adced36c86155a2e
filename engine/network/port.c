/* placeholder until the next commit */
#include "engine/network/port.h"
const char *const port_protocol_names[] = {[PORT_TCP] = "tcp", [PORT_UDP] = "udp"};
