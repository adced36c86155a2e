/* Which style a text is written in. YAML 1.2 chapter 7.3 says what each can hold. */

#include "compose/file/scalar_style.h"

#include <string.h>

#include "compose/file/node.h"

/* ---- what a plain text would be taken for ------------------------------------------------------
 */

/* YAML 1.1's booleans. */
static bool is_old_bool(struct str text)
{
    static const char *const words[] = {"y", "Y", "yes", "Yes", "YES", "on",  "On",  "ON",
                                        "n", "N", "no",  "No",  "NO",  "off", "Off", "OFF"};

    for (size_t i = 0; text.len <= 3 && i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_is(text, words[i]))
            return true;
    }
    return false;
}

/* The digits at *text, at most `max`, cut off; -1 when there is none. */
static int take_number(struct str *text, size_t max)
{
    int value = 0;
    size_t n = 0;

    while (n < max && n < text->len && char_is_digit(text->data[n]))
        value = value * 10 + (text->data[n++] - '0');
    *text = (struct str){text->data + n, text->len - n};
    return n > 0 ? value : -1;
}

static bool take(struct str *text, const char *any_of)
{
    if (text->len == 0 || !strchr(any_of, text->data[0]))
        return false;
    *text = (struct str){text->data + 1, text->len - 1};
    return true;
}

/* YAML 1.1's numbers to the base of sixty: 1:30, -90:59.5. */
static bool is_sexagesimal(struct str text)
{
    size_t n_parts = 0;

    (void)take(&text, "+-");
    if (text.len == 0 || !char_is_digit(text.data[0]))
        return false;
    while (take(&text, "0123456789_"))
        continue;
    while (take(&text, ":")) {
        int value = take_number(&text, 2);

        if (value < 0 || value > 59)
            return false;
        n_parts++;
    }
    if (n_parts > 0 && take(&text, ".")) {
        while (take(&text, "0123456789_"))
            continue;
    }
    return n_parts > 0 && text.len == 0;
}

static bool is_date(struct str *text)
{
    static const int days[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct str at = *text;
    int year = at.len > 4 && at.data[4] == '-' ? take_number(&at, 4) : -1;
    int month = take(&at, "-") ? take_number(&at, 2) : -1;
    int day = take(&at, "-") ? take_number(&at, 2) : -1;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (year < 0 || month < 1 || month > 12 || day < 1)
        return false;
    *text = at;
    return day <= days[month] + (month == 2 && is_leap);
}

/* 7:05:09.25 */
static bool take_clock(struct str *text)
{
    static const int limits[] = {24, 60, 60};

    for (size_t i = 0; i < 3; i++) {
        int value;

        if (i > 0 && !take(text, ":"))
            return false;
        value = take_number(text, 2);
        if (value < 0 || value >= limits[i])
            return false;
    }
    if (take(text, ".,")) {
        if (text->len == 0 || !char_is_digit(text->data[0]))
            return false;
        while (take(text, "0123456789"))
            continue;
    }
    return true;
}

static bool take_zone(struct str *text)
{
    int hours;
    int minutes;

    if (take(text, "Z"))
        return true;
    if (!take(text, "+-"))
        return false;
    hours = take_number(text, 2);
    minutes = take(text, ":") ? take_number(text, 2) : -1;
    return hours >= 0 && hours <= 24 && minutes >= 0 && minutes <= 60;
}

static bool is_timestamp(struct str text)
{
    if (!is_date(&text))
        return false;
    if (text.len == 0)
        return true;
    if (take(&text, "Tt"))
        return take_clock(&text) && take_zone(&text) && text.len == 0;
    return take(&text, " ") && take_clock(&text) && text.len == 0;
}

/* By other readers of YAML, or by ours. */
static bool is_taken_for_else(struct str text)
{
    return text.len == 0 || node_type_of(text) != NODE_TEXT || is_old_bool(text) ||
           str_is(text, "<<") || is_sexagesimal(text) || is_timestamp(text);
}

/* ---- what the styles can hold ------------------------------------------------------------------
 */

bool character_is_special(uint32_t character)
{
    return (character < 0x20 && character != '\n' && character != '\t') ||
           (character >= 0x7f && character < 0xa0) || character == 0x2028 || character == 0x2029 ||
           character == 0xfeff || character >= 0xfffd;
}

struct traits {
    bool has_special;
    bool has_tab;
    bool has_break;
    bool has_space_before_break;
    bool has_tab_as_indent; /* of a line: libyaml wants spaces there */
};

static struct traits traits_of(struct str text)
{
    struct traits traits = {0};
    char before = 0;

    while (text.len > 0) {
        size_t len = 1;
        bool is_ascii = text.data[0] >= ' ' && text.data[0] <= '~'; /* most are */
        uint32_t character = is_ascii ? (uint32_t)text.data[0] : str_first_character(text, &len);

        traits.has_special |= !is_ascii && character_is_special(character);
        traits.has_tab |= character == '\t';
        traits.has_break |= character == '\n';
        traits.has_space_before_break |= character == '\n' && before == ' ';
        traits.has_tab_as_indent |= character == '\t' && (!before || before == '\n');
        before = text.data[0];
        text = (struct str){text.data + len, text.len - len};
    }
    return traits;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Something in the line begins another thing than text. */
static bool has_indicator(struct str text)
{
    bool is_alone = text.len == 1 || is_blank(text.data[1]);

    if (str_starts_with(text, "---") || str_starts_with(text, "..."))
        return true;
    if (strchr("#,[]{}&*!|>'\"%@`", text.data[0]) || (strchr("-?:", text.data[0]) && is_alone))
        return true;
    for (size_t i = 1; i < text.len; i++) {
        if (text.data[i] == ':' && (i + 1 == text.len || is_blank(text.data[i + 1])))
            return true;
        if (text.data[i] == '#' && is_blank(text.data[i - 1]))
            return true;
    }
    return false;
}

enum scalar_style scalar_style_of(struct str text, bool is_key)
{
    struct traits traits = traits_of(text);

    if (traits.has_break)
        return is_key || traits.has_special || traits.has_space_before_break ||
                       traits.has_tab_as_indent || text.data[text.len - 1] == ' '
                   ? STYLE_DOUBLE
                   : STYLE_LITERAL;
    if (traits.has_special || traits.has_tab || is_taken_for_else(text))
        return STYLE_DOUBLE;
    if (text.data[0] == ' ' || text.data[text.len - 1] == ' ' || has_indicator(text))
        return STYLE_SINGLE;
    return STYLE_PLAIN;
}
