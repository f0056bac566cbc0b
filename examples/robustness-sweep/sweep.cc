// SPDX-License-Identifier: AGPL-3.0-only
#include "examples/robustness-sweep/sweep.h"

#include <optional>
#include <string>
#include <utility>

#include "common/base/cat.h"
#include "common/ids/ids.h"
#include "examples/robustness-sweep/attack.h"
#include "examples/robustness-sweep/classifier.h"

namespace auspex::sweep {

absl::StatusOr<Point> ParsePoint(const JsonObject& untrusted_payload) {
  for (const auto& [name, value] : untrusted_payload) {
    if (name != "epsilon" && name != "seed") {
      return absl::InvalidArgumentError(Cat("payload: unknown member '", Printable(name), "'"));
    }
  }
  for (const char* name : {"epsilon", "seed"}) {
    if (!untrusted_payload.contains(name)) {
      return absl::InvalidArgumentError(Cat("payload: member '", name, "' is missing"));
    }
  }
  const std::optional<double> epsilon = untrusted_payload.find("epsilon")->second.AsNumber();
  // Written so that a NaN fails too.
  if (!epsilon || !(*epsilon >= 0.0 && *epsilon <= 1.0)) {
    return absl::InvalidArgumentError("payload: member 'epsilon' is not a number of 0 to 1");
  }
  const std::optional<int64_t> seed = untrusted_payload.find("seed")->second.AsInt64();
  if (!seed || *seed < 0) {
    return absl::InvalidArgumentError("payload: member 'seed' is not an integer of 0 to 2^63-1");
  }
  return Point{.epsilon = *epsilon, .seed = *seed};
}

Measurement Measure(const Point& point, std::vector<Digit> digits) {
  // Independent streams from one seed, so that the split does not echo in the weights.
  Random seeds(static_cast<uint64_t>(point.seed));
  const uint64_t split_seed = seeds.Next();
  const uint64_t train_seed = seeds.Next();
  Random noise(seeds.Next());

  const Split split = SplitDigits(std::move(digits), split_seed);
  const Classifier model = Classifier::Train(split.train, train_seed);
  Measurement result{.point = point, .total = static_cast<int>(split.test.size())};
  for (const Digit& digit : split.test) {
    const Image noisy = RandomSign(digit.pixels, point.epsilon, noise);
    const Image attacked = FastGradientSign(model, digit, point.epsilon);
    result.clean_correct += model.Predict(digit.pixels) == digit.label ? 1 : 0;
    result.noise_correct += model.Predict(noisy) == digit.label ? 1 : 0;
    result.correct += model.Predict(attacked) == digit.label ? 1 : 0;
  }
  return result;
}

JsonObject ToPayload(const Measurement& measurement) {
  const auto share = [&](int count) { return static_cast<double>(count) / measurement.total; };
  JsonObject payload;
  payload["accuracy"] = share(measurement.correct);
  payload["clean_accuracy"] = share(measurement.clean_correct);
  payload["noise_accuracy"] = share(measurement.noise_correct);
  payload["correct"] = measurement.correct;
  payload["total"] = measurement.total;
  payload["epsilon"] = measurement.point.epsilon;
  payload["seed"] = measurement.point.seed;
  return payload;
}

}  // namespace auspex::sweep
