#pragma once

/* How a text is written in YAML so that it is read again as that text (private to compose/file).
 * Where YAML leaves a choice, it is that of yaml.v3, docker compose's library: the output of
 * `config` is compared with its output, byte for byte (tests/peer/). */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/str.h"

enum scalar_style {
    STYLE_PLAIN,
    STYLE_SINGLE,  /* 'text' */
    STYLE_DOUBLE,  /* "text" */
    STYLE_LITERAL, /* | and the lines below it */
};

/* A key stands on one line. */
enum scalar_style scalar_style_of(struct str text, bool is_key);

/* What is written as an escape. U+FFFD is: it stands for bytes that are no text, too. */
bool character_is_special(uint32_t character);
