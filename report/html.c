#include "report/html.h"

#include "core/base/file.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum remat_status report_html_open(struct report_html *html, struct remat_error *err)
{
    memset(html, 0, sizeof *html);
    html->stream = open_memstream(&html->text, &html->length);
    if (!html->stream)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "report: out of host memory for the page");
    return REMAT_OK;
}

enum remat_status report_html_close(struct report_html *html, const char *path, struct remat_error *err)
{
    enum remat_status status = REMAT_OK;
    bool failed = html->stream && (ferror(html->stream) | fclose(html->stream));
    if (failed || !html->text)
        status = remat_fail(err, REMAT_OUT_OF_MEMORY, "report: out of host memory for the page");
    else if (path)
        status = remat_file_write(path, html->text, html->length, err);
    free(html->text);
    memset(html, 0, sizeof *html);
    return status;
}

void report_html_raw(struct report_html *html, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(html->stream, format, arguments);
    va_end(arguments);
}

/* Bytes of the well-formed UTF-8 character at `text`, or 0. */
static int character_bytes(const unsigned char *text)
{
    int count = text[0] < 0x80                       ? 1
                : text[0] >= 0xc2 && text[0] <= 0xdf ? 2
                : (text[0] & 0xf0) == 0xe0           ? 3
                : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
                                                     : 0;
    for (int i = 1; i < count; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return count;
}

static void write_character(FILE *stream, const unsigned char *text, int bytes)
{
    switch (text[0]) {
    case '&':
        fputs("&amp;", stream);
        break;
    case '<':
        fputs("&lt;", stream);
        break;
    case '>':
        fputs("&gt;", stream);
        break;
    case '"':
        fputs("&quot;", stream);
        break;
    case '\'':
        fputs("&#39;", stream);
        break;
    default:
        fwrite(text, 1, (size_t)bytes, stream);
    }
}

void report_html_text(struct report_html *html, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        int bytes = character_bytes(at);
        bool control = *at < 0x20 && *at != '\n' && *at != '\t';
        if (bytes == 0 || control || *at == 0x7f)
            fputs("\xef\xbf\xbd", html->stream);
        else
            write_character(html->stream, at, bytes);
        at += bytes > 0 ? bytes : 1;
    }
}
