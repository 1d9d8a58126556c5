/* Made-up result folders, and checks of what the report makes of them. */
#ifndef REMAT_TESTS_REPORT_SUPPORT_FOLDER_H
#define REMAT_TESTS_REPORT_SUPPORT_FOLDER_H

#include "report/report.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FOLDER_BYTES = 256 };

/* cmocka setup and teardown: *state is a new folder's path, removed afterwards. */
int folder_make(void **state);
int folder_remove(void **state);

void folder_write(const char *folder, const char *name, const char *text);
/* Takes `json`. */
void folder_write_json(const char *folder, const char *name, json_t *json);
/* The file's bytes and a final 0; the caller frees it. Fails the test if there is none. */
char *folder_read(const char *folder, const char *name, size_t *bytes);
bool folder_has(const char *folder, const char *name);

/* Runs the report; fails the test with its message unless it returns `expected`. Returns the message. */
const char *folder_report(const char *folder, enum remat_status expected);
/* The page; the caller frees it. */
char *folder_page(const char *folder);

/* charts/NAME.png has the signature and a plausible size, charts/NAME.svg is well-formed, the page shows it. */
void check_chart(const char *folder, const char *name);
/* Tags are closed in the right order, attributes quoted, ampersands escaped; all of `text` is read. */
void check_well_formed(const char *text, size_t bytes);

/* A sweep's file with its header and no points. */
json_t *sweep_file(void);
/* A measured point of `solver`; new reference. relative: of predicted and measured steps to keep-all. */
json_t *sweep_point(const char *solver, double budget_mib, double predicted, double measured);

#endif
