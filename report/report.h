/* Draws the recorded data of a run: FOLDER/charts/NAME.png and NAME.svg, and FOLDER/index.html, one page that stands
 * alone. Nothing is measured or computed anew: whatever data files of docs/format-results.md the folder holds are
 * drawn.
 */
#ifndef REMAT_REPORT_REPORT_H
#define REMAT_REPORT_REPORT_H

#include "core/base/status.h"

/* Reads sweep.json, batchsize.json, the training log and the plans, as far as they are there; a missing member or a
 * failed point leaves a note on the page. A folder that does not exist or holds none of them is REMAT_MISSING_INPUT, a
 * malformed file REMAT_BAD_DATA. Same data, same bytes. */
REMAT_MUST_CHECK enum remat_status remat_report(const char *folder, struct remat_error *err);

#endif
