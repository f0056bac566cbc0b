// SPDX-License-Identifier: AGPL-3.0-only
// What the lab says at the end: as text with a table and, from two points on, a plot, or as one JSON document.
#ifndef AUSPEX_CLI_LAB_REPORT_H_
#define AUSPEX_CLI_LAB_REPORT_H_

#include <string>
#include <vector>

#include "cli/lab/grid.h"
#include "cli/lab/options.h"
#include "cli/lab/verify.h"
#include "cli/output/output.h"

namespace auspex::cli::lab {

struct LabReport {
  LabOptions options;
  std::string experiment, experiment_id, coordinator_url, directory;
  std::vector<CurvePoint> curve;
  struct Member {
    std::string name, home;
    WorkerProof proof;
  };
  std::vector<Member> workers;
  int64_t units = 0, agreed = 0, results = 0;
  double start_seconds = 0;    // until every worker was ready for work
  double work_seconds = 0;     // from the submission to the last agreement
  double receipt_seconds = 0;  // from then until the last receipt was verified
};

JsonValue ReportJson(const LabReport& report);
void PrintReport(const Output& output, const LabReport& report);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_REPORT_H_
