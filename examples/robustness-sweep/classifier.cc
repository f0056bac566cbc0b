// SPDX-License-Identifier: AGPL-3.0-only
#include "examples/robustness-sweep/classifier.h"

#include <algorithm>
#include <utility>

#include "examples/robustness-sweep/exact_math.h"

namespace auspex::sweep {
namespace {

// Half-widths of the uniform initial weights, about sqrt(6 / fan-in) for the rectified layer and
// sqrt(6 / (in + out)) above it.
constexpr double kFirstScale = 0.3;
constexpr double kSecondScale = 0.37;

}  // namespace

Classifier::Classifier(uint64_t seed) {
  Random random(seed);
  for (Hidden& row : first_) {
    for (double& weight : row) weight = kFirstScale * random.Symmetric();
  }
  for (Output& row : second_) {
    for (double& weight : row) weight = kSecondScale * random.Symmetric();
  }
}

void Classifier::Forward(const Image& image, Hidden& hidden, Output& logits) const {
  hidden = first_bias_;
  for (int i = 0; i < kPixels; ++i) {
    const double pixel = image[i];
    if (pixel == 0.0) continue;
    for (int j = 0; j < kHidden; ++j) hidden[j] += pixel * first_[i][j];
  }
  logits = second_bias_;
  for (int j = 0; j < kHidden; ++j) {
    hidden[j] = hidden[j] > 0.0 ? hidden[j] : 0.0;
    if (hidden[j] == 0.0) continue;  // adds nothing to any sum
    for (int k = 0; k < kClasses; ++k) logits[k] += hidden[j] * second_[j][k];
  }
}

void Classifier::LossGradient(Output& logits, int label) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (double& logit : logits) {
    logit = Exp(logit - largest);
    sum += logit;
  }
  for (double& logit : logits) logit /= sum;
  logits[label] -= 1.0;
}

Classifier::Hidden Classifier::HiddenGradient(const Hidden& hidden,
                                              const Output& output_gradient) const {
  Hidden gradient;
  for (int j = 0; j < kHidden; ++j) {
    gradient[j] = 0.0;
    if (hidden[j] == 0.0) continue;
    for (int k = 0; k < kClasses; ++k) gradient[j] += second_[j][k] * output_gradient[k];
  }
  return gradient;
}

void Classifier::Step(const Digit& sample, double learning_rate) {
  Hidden hidden;
  Output gradient;
  Forward(sample.pixels, hidden, gradient);
  LossGradient(gradient, sample.label);
  // Taken before the second layer moves.
  const Hidden below = HiddenGradient(hidden, gradient);
  for (int j = 0; j < kHidden; ++j) {
    const double step = learning_rate * hidden[j];
    if (step == 0.0) continue;
    for (int k = 0; k < kClasses; ++k) second_[j][k] -= step * gradient[k];
  }
  for (int k = 0; k < kClasses; ++k) second_bias_[k] -= learning_rate * gradient[k];
  for (int i = 0; i < kPixels; ++i) {
    const double step = learning_rate * sample.pixels[i];
    if (step == 0.0) continue;
    for (int j = 0; j < kHidden; ++j) first_[i][j] -= step * below[j];
  }
  for (int j = 0; j < kHidden; ++j) first_bias_[j] -= learning_rate * below[j];
}

Classifier Classifier::Train(const std::vector<Digit>& train, uint64_t seed,
                             const Options& options) {
  Classifier model(seed);
  std::vector<uint32_t> order(train.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
  Random random(~seed);
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[random.Below(static_cast<uint32_t>(i))]);
    }
    for (uint32_t index : order) model.Step(train[index], options.learning_rate);
  }
  return model;
}

int Classifier::Predict(const Image& image) const {
  Hidden hidden;
  Output logits;
  Forward(image, hidden, logits);
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Image Classifier::InputGradient(const Image& image, int label) const {
  Hidden hidden;
  Output gradient;
  Forward(image, hidden, gradient);
  LossGradient(gradient, label);
  const Hidden below = HiddenGradient(hidden, gradient);
  Image result;
  for (int i = 0; i < kPixels; ++i) {
    double sum = 0.0;
    for (int j = 0; j < kHidden; ++j) sum += first_[i][j] * below[j];
    result[i] = sum;
  }
  return result;
}

}  // namespace auspex::sweep
