// SPDX-License-Identifier: AGPL-3.0-only
#include "examples/robustness-sweep/attack.h"

#include <algorithm>

namespace auspex::sweep {

Image FastGradientSign(const Classifier& model, const Digit& digit, double epsilon) {
  const Image gradient = model.InputGradient(digit.pixels, digit.label);
  Image image = digit.pixels;
  for (int i = 0; i < kPixels; ++i) {
    const double sign = gradient[i] > 0.0 ? 1.0 : (gradient[i] < 0.0 ? -1.0 : 0.0);
    image[i] = std::clamp(image[i] + epsilon * sign, 0.0, 1.0);
  }
  return image;
}

Image RandomSign(const Image& image, double epsilon, Random& random) {
  uint64_t bits = random.Next();
  static_assert(kPixels == 64, "one random bit a pixel");
  Image moved = image;
  for (double& pixel : moved) {
    pixel = std::clamp(pixel + ((bits & 1) != 0 ? epsilon : -epsilon), 0.0, 1.0);
    bits >>= 1;
  }
  return moved;
}

}  // namespace auspex::sweep
