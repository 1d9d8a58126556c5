/* The page's text: escaping, and pictures inlined without clashing. */
#include "report/html.h"
#include "tests/report/support_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_and_compare(struct report_html *html, const char *folder, const char *expected)
{
    char path[2 * FOLDER_BYTES], *text;
    size_t bytes;
    struct remat_error err;
    snprintf(path, sizeof path, "%s/page", folder);
    assert_int_equal(report_html_close(html, path, &err), REMAT_OK);
    text = folder_read(folder, "page", &bytes);
    assert_string_equal(text, expected);
    free(text);
}

static void check_text(void **state, const char *text, const char *expected)
{
    struct report_html html;
    struct remat_error err;
    assert_int_equal(report_html_open(&html, &err), REMAT_OK);
    report_html_text(&html, text);
    close_and_compare(&html, *state, expected);
}

static void test_escapes(void **state)
{
    check_text(state, "a<b & \"c\" 'd'>", "a&lt;b &amp; &quot;c&quot; &#39;d&#39;&gt;");
    check_text(state, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void test_broken_text_is_replaced(void **state)
{
    check_text(state, "a\x01z", "a\xef\xbf\xbdz");
    check_text(state, "a\xff", "a\xef\xbf\xbd");
    check_text(state, "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void check_svg(void **state, const char *svg, const char *expected)
{
    struct report_html html;
    struct remat_error err;
    assert_int_equal(report_html_open(&html, &err), REMAT_OK);
    report_html_svg(&html, svg, "n", "x & y");
    close_and_compare(&html, *state, expected);
}

static void test_svg_ids_get_the_name(void **state)
{
    check_svg(state, "<?xml version=\"1.0\"?>\n<svg><a id=\"g\"/><use xlink:href=\"#g\" clip-path=\"url(#c)\"/></svg>",
              "<svg role=\"img\" aria-label=\"x &amp; y\"><a id=\"n-g\"/><use xlink:href=\"#n-g\" "
              "clip-path=\"url(#n-c)\"/></svg>");
}

static void test_svg_roles_become_variables(void **state)
{
    check_svg(state, "<svg><p style=\"fill:rgb(100%,100%,99.607843%);stroke:rgb(0%,44.705882%,69.803922%)\"/></svg>",
              "<svg role=\"img\" aria-label=\"x &amp; y\"><p "
              "style=\"fill:var(--paper);stroke:rgb(0%,44.705882%,69.803922%)\"/></svg>");
    check_svg(state, "<svg>rgb( rgb(1%,2%) rgb(900%,0%,0%)</svg>",
              "<svg role=\"img\" aria-label=\"x &amp; y\">rgb( rgb(1%,2%) rgb(900%,0%,0%)</svg>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_escapes, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_broken_text_is_replaced, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_svg_ids_get_the_name, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_svg_roles_become_variables, folder_make, folder_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
