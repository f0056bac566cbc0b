// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace auspex::cli::lab {
namespace {

constexpr int kNarrowest = 24;
constexpr int kWidest = 100;
constexpr int kMargin = 6;  // "100 % " before the axis is five and the axis is one
// A block is drawn in eighths of a row.
constexpr int kEighths = 8;
constexpr std::string_view kBlocks[] = {" ",
                                        "\xe2\x96\x81",
                                        "\xe2\x96\x82",
                                        "\xe2\x96\x83",
                                        "\xe2\x96\x84",
                                        "\xe2\x96\x85",
                                        "\xe2\x96\x86",
                                        "\xe2\x96\x87",
                                        "\xe2\x96\x88"};

struct Glyphs {
  std::string_view axis, corner, floor, tick, mark;
};
constexpr Glyphs kUnicode{"\xe2\x94\xa4", "\xe2\x94\x94", "\xe2\x94\x80", "\xe2\x94\xac",
                          "\xe2\x80\xa2"};
constexpr Glyphs kAscii{"|", "+", "-", "+", "o"};

std::string Number(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Both curves at `x`, straight between neighbours.
PlotPoint At(const std::vector<PlotPoint>& points, double x) {
  if (x <= points.front().x) return points.front();
  for (size_t i = 1; i < points.size(); ++i) {
    const PlotPoint& left = points[i - 1];
    const PlotPoint& right = points[i];
    if (x > right.x) continue;
    const double share = right.x > left.x ? (x - left.x) / (right.x - left.x) : 1.0;
    return {x, left.area + share * (right.area - left.area),
            left.line + share * (right.line - left.line)};
  }
  return points.back();
}

// Row of a value, 0 at the bottom.
int RowOf(double value, int height) {
  return std::clamp(static_cast<int>(std::floor(value * height)), 0, height - 1);
}

// Writes the labels of the x axis below their columns, leaving out what would touch its neighbour.
std::string AxisLabels(double from, double to, int columns, const std::vector<int>& ticks) {
  std::string row(static_cast<size_t>(kMargin + columns), ' ');
  size_t free_from = 0;
  for (int column : ticks) {
    const double x = columns > 1 ? from + (to - from) * column / (columns - 1) : from;
    const std::string label = Number("%.2f", x);
    size_t at = static_cast<size_t>(kMargin + column);
    at = at < label.size() / 2 ? 0 : at - label.size() / 2;
    at = std::min(at, row.size() - label.size());
    if (at < free_from) continue;
    row.replace(at, label.size(), label);
    free_from = at + label.size() + 1;
  }
  row.erase(row.find_last_not_of(' ') + 1);
  return row;
}

}  // namespace

std::vector<std::string> DrawPlot(const std::vector<PlotPoint>& points, const PlotStyle& style) {
  std::vector<std::string> rows;
  if (points.empty()) return rows;
  const Glyphs& glyphs = style.utf8 ? kUnicode : kAscii;
  const int width = std::clamp(style.width, kNarrowest, kWidest);
  const int height = std::max(style.height, 2);
  const int columns = width - kMargin;
  const double from = points.front().x;
  const double to = points.back().x;

  std::vector<PlotPoint> curve;
  for (int column = 0; column < columns; ++column) {
    curve.push_back(At(points, from + (to - from) * column / (columns - 1)));
  }
  for (int row = height - 1; row >= 0; --row) {
    // Labels at the top, the middle and the bottom.
    std::string line = row == height - 1   ? "100 %"
                       : row == height / 2 ? " 50 %"
                       : row == 0          ? "  0 %"
                                           : "     ";
    line += glyphs.axis;
    size_t last = line.size();
    for (const PlotPoint& point : curve) {
      const double full = std::clamp(point.area, 0.0, 1.0) * height;
      const int eighths =
          std::clamp(static_cast<int>(std::lround((full - row) * kEighths)), 0, kEighths);
      const bool marked = RowOf(std::clamp(point.line, 0.0, 1.0), height) == row;
      if (marked && eighths < kEighths) {
        line += glyphs.mark;
      } else if (style.utf8) {
        line += kBlocks[eighths];
      } else {
        line += eighths >= kEighths / 2 ? '#' : ' ';
      }
      if (line.back() != ' ') last = line.size();
    }
    line.resize(last);
    rows.push_back(std::move(line));
  }

  std::vector<int> ticks;
  constexpr int kTicks = 6;
  for (int i = 0; i <= kTicks; ++i) ticks.push_back((columns - 1) * i / kTicks);
  std::string floor(kMargin - 1, ' ');
  floor += glyphs.corner;
  for (int column = 0; column < columns; ++column) {
    const bool tick = std::find(ticks.begin(), ticks.end(), column) != ticks.end();
    floor += tick ? glyphs.tick : glyphs.floor;
  }
  rows.push_back(std::move(floor));
  rows.push_back(AxisLabels(from, to, columns, ticks));
  return rows;
}

}  // namespace auspex::cli::lab
