// SPDX-License-Identifier: AGPL-3.0-only
// The perturbations that are compared, both bounded by `epsilon` in the L-infinity norm (pixels are
// in [0, 1]) and clipped to valid pixels. Pure functions but for the generator's state.
#ifndef AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_ATTACK_H_
#define AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_ATTACK_H_

#include "examples/robustness-sweep/classifier.h"
#include "examples/robustness-sweep/exact_math.h"

namespace auspex::sweep {

// The fast gradient sign method (Goodfellow, Shlens and Szegedy 2015): each pixel moves by epsilon
// to where the loss grows.
Image FastGradientSign(const Classifier& model, const Digit& digit, double epsilon);
// The control: each pixel moves by epsilon up or down at random.
Image RandomSign(const Image& image, double epsilon, Random& random);

}  // namespace auspex::sweep

#endif  // AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_ATTACK_H_
