#pragma once

/* The version, in one place. */
#define BERTH_VERSION "0.1.0"
