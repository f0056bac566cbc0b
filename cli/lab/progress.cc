// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/progress.h"

#include <algorithm>
#include <cstdio>

#include "common/base/cat.h"

namespace auspex::cli::lab {
namespace {

constexpr int kLongestBar = 30;
constexpr int kShortestBar = 8;
constexpr std::string_view kFull = "\xe2\x96\x88", kEmpty = "\xe2\x96\x91";

}  // namespace

std::string ProgressLine(const LabProgress& progress, double seconds, int width, bool utf8) {
  char speed[32] = "";
  if (seconds > 0.5 && progress.done > 0)
    std::snprintf(speed, sizeof speed, ", %.1f units/s", progress.done / seconds);
  const std::string text =
      Cat(" ", progress.done, "/", progress.units, " units, ", progress.agreed, " agreed, ",
          progress.running, " running, ", progress.results, " results", speed);
  const int room = width - static_cast<int>(text.size()) - 3;
  if (room < kShortestBar) return text.substr(1, static_cast<size_t>(std::max(width - 1, 1)));
  const int bar = std::min(room, kLongestBar);
  const int full = progress.units > 0 ? static_cast<int>(bar * progress.done / progress.units) : 0;
  std::string line = "[";
  for (int i = 0; i < bar; ++i) {
    if (i < full) {
      line += utf8 ? kFull : "#";
    } else {
      line += utf8 ? kEmpty : ".";
    }
  }
  return Cat(line, "]", text);
}

void ProgressDisplay::Step(const std::string& text) {
  if (output_.json()) return;
  End();
  output_.Line(text);
  std::fflush(stdout);
}

void ProgressDisplay::Update(const LabProgress& progress, double seconds) {
  if (output_.json()) return;
  const Terminal& terminal = output_.terminal();
  if (terminal.interactive) {
    std::printf("\r%s\x1b[K",
                ProgressLine(progress, seconds, terminal.width, terminal.utf8).c_str());
    std::fflush(stdout);
    drawn_ = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const bool finished = progress.units > 0 && progress.done == progress.units;
  if (!finished && now - last_time_ < std::chrono::seconds(1)) return;
  const std::string line =
      Cat(progress.done, "/", progress.units, " units, ", progress.agreed, " agreed, ",
          progress.running, " running, ", progress.results, " results");
  if (line == last_) return;
  last_ = line;
  last_time_ = now;
  output_.Line(line);
  std::fflush(stdout);
}

void ProgressDisplay::End() {
  if (!drawn_) return;
  drawn_ = false;
  output_.Line("");
}

}  // namespace auspex::cli::lab
