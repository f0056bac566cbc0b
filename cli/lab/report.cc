// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/report.h"

#include <cstdio>

#include "cli/lab/plot.h"
#include "common/base/cat.h"

namespace auspex::cli::lab {
namespace {

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%5.1f %%", share * 100);
  return text;
}

std::string Decimals(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

double PerSecond(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

std::string StopCommand(const LabReport& report) {
  return Cat("auspex lab --stop ", report.directory);
}

}  // namespace

JsonValue ReportJson(const LabReport& report) {
  JsonArray points, workers;
  for (const CurvePoint& point : report.curve) {
    points.emplace_back(JsonObject{{"epsilon", point.epsilon},
                                   {"units", point.units},
                                   {"accuracy_mean", point.mean},
                                   {"accuracy_min", point.lowest},
                                   {"accuracy_max", point.highest},
                                   {"noise_accuracy_mean", point.noise_mean}});
  }
  int64_t verified = 0;
  for (const LabReport::Member& worker : report.workers) {
    verified += worker.proof.receipts_verified;
    JsonObject entry{{"name", worker.name},
                     {"worker_id", worker.proof.worker_id},
                     {"public_key", worker.proof.public_key_hex},
                     {"results", worker.proof.results},
                     {"receipts_verified", worker.proof.receipts_verified},
                     {"journal_records", worker.proof.journal_records},
                     {"signatures", worker.proof.signatures}};
    if (report.options.keep) {
      entry["home"] = worker.home;
      entry["journal"] = worker.proof.journal_path;
    }
    workers.emplace_back(std::move(entry));
  }
  JsonObject object{
      {"ok", true},
      {"experiment", report.experiment},
      {"experiment_id", report.experiment_id},
      {"units", report.units},
      {"agreed", report.agreed},
      {"results", report.results},
      {"replication", report.options.replication},
      {"slots", report.options.slots},
      {"receipts_verified", verified},
      {"points", std::move(points)},
      {"workers", std::move(workers)},
      {"seconds", JsonObject{{"start", report.start_seconds},
                             {"work", report.work_seconds},
                             {"receipts", report.receipt_seconds}}},
      {"units_per_second", PerSecond(static_cast<double>(report.units), report.work_seconds)},
      {"results_per_second", PerSecond(static_cast<double>(report.results), report.work_seconds)}};
  if (report.options.keep) {
    object["directory"] = report.directory;
    object["coordinator"] = report.coordinator_url;
    object["stop"] = StopCommand(report);
  }
  return object;
}

void PrintReport(const Output& output, const LabReport& report) {
  const Terminal& terminal = output.terminal();
  output.Line("");
  output.Line(terminal.Paint(Cat(report.experiment, ": accuracy against the size of the attack"),
                             Style::kStrong));
  std::vector<std::vector<std::string>> rows;
  std::vector<PlotPoint> points;
  for (const CurvePoint& point : report.curve) {
    rows.push_back({Decimals(point.epsilon, 3), Percent(point.mean), Percent(point.lowest),
                    Percent(point.highest), Percent(point.noise_mean), Cat(point.units)});
    points.push_back({point.epsilon, point.mean, point.noise_mean});
  }
  output.Table({"EPSILON", "MEAN", "MIN", "MAX", "NOISE", "UNITS"}, rows);
  output.Line("");
  // A single point is no curve.
  if (points.size() > 1) {
    for (const std::string& row :
         DrawPlot(points, {.width = terminal.width, .height = 12, .utf8 = terminal.utf8})) {
      output.Line(row);
    }
    output.Line(
        terminal.utf8
            ? "      epsilon; filled: accuracy under attack, dots: with noise of the same size"
            : "      epsilon; #: accuracy under attack, o: with noise of the same size");
    output.Line("");
  }

  int64_t verified = 0;
  for (const LabReport::Member& worker : report.workers) verified += worker.proof.receipts_verified;
  output.Line(terminal.Paint(
      Cat(report.agreed, " of ", report.units, " units agreed on by ", report.options.replication,
          " workers each; ", verified, " of ", report.results, " receipts verified"),
      Style::kGood));
  rows.clear();
  for (const LabReport::Member& worker : report.workers) {
    rows.push_back({worker.name, Clean(worker.proof.worker_id), Cat(worker.proof.results),
                    Cat(worker.proof.journal_records), Cat(worker.proof.signatures),
                    Clean(worker.proof.journal_path)});
  }
  output.Table({"WORKER", "ID", "RESULTS", "JOURNAL", "SIGNATURES", "SIGNING JOURNAL"}, rows);
  output.Line(Cat(Decimals(report.work_seconds, 2), " s for ", report.units, " units (",
                  Decimals(PerSecond(static_cast<double>(report.units), report.work_seconds), 1),
                  " units/s, ",
                  Decimals(PerSecond(static_cast<double>(report.results), report.work_seconds), 1),
                  " results/s); start ", Decimals(report.start_seconds, 2), " s, receipts ",
                  Decimals(report.receipt_seconds, 2), " s"));
  if (!report.options.keep) {
    output.Line("everything was stopped and removed, the journals too; --keep leaves it running");
    return;
  }
  output.Line("");
  output.Line(Cat("It goes on running: coordinator ", report.coordinator_url, ", everything in ",
                  report.directory));
  for (const LabReport::Member& worker : report.workers) {
    output.Line(Cat("  ", output.program(), " --home ", worker.home, " status"));
  }
  output.Line(Cat("Stop it with:\n  ", StopCommand(report)));
}

}  // namespace auspex::cli::lab
