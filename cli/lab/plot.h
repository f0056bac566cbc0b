// SPDX-License-Identifier: AGPL-3.0-only
// A plot of two curves in text: the first as an area of blocks, the second as a line of marks above
// it. Pure function.
#ifndef AUSPEX_CLI_LAB_PLOT_H_
#define AUSPEX_CLI_LAB_PLOT_H_

#include <string>
#include <vector>

namespace auspex::cli::lab {

struct PlotPoint {
  double x = 0;
  double area = 0;  // 0 to 1
  double line = 0;  // 0 to 1
};

struct PlotStyle {
  int width = 80;     // columns in all; less than 24 counts as 24, more than 100 as 100
  int height = 12;    // rows of the drawing, 2 or more
  bool utf8 = false;  // eighth blocks and box lines, else ASCII
};

// The rows of the plot, axes and labels included; between points the curves are straight. `points`
// are in rising order of x; empty gives no rows. No row is wider than the width.
std::vector<std::string> DrawPlot(const std::vector<PlotPoint>& points, const PlotStyle& style);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_PLOT_H_
