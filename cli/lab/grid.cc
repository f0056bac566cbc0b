// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/grid.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "common/base/cat.h"

namespace auspex::cli::lab {
namespace {

constexpr double kLargestEpsilon = 0.3;
constexpr double kEpsilonsPerSeed = 1.6;
constexpr int kMostEpsilons = 13;
// Epsilons are cut to four decimals so that payloads stay readable.
constexpr double kGrain = 10'000;

absl::StatusOr<double> Share(const JsonValue& payload, std::string_view name) {
  const JsonValue* member = payload.Find(name);
  const std::optional<double> value = member == nullptr ? std::nullopt : member->AsNumber();
  if (!value || !(*value >= 0 && *value <= 1)) {
    return absl::InvalidArgumentError(
        Cat("result payload: ", name, " is missing or no number from 0 to 1"));
  }
  return *value;
}

}  // namespace

std::vector<LabUnit> MakeUnits(int count) {
  const int epsilons =
      std::clamp(static_cast<int>(std::lround(std::sqrt(count) * kEpsilonsPerSeed)), 1,
                 std::min(count, kMostEpsilons));
  std::vector<LabUnit> units;
  for (int i = 0; i < count; ++i) {
    char id[16];
    std::snprintf(id, sizeof id, "u-%04d", i + 1);
    const double step = epsilons == 1 ? 0.0 : kLargestEpsilon / (epsilons - 1);
    units.push_back({id, std::round(step * (i % epsilons) * kGrain) / kGrain, i / epsilons});
  }
  return units;
}

absl::StatusOr<Measured> ReadMeasured(const JsonValue& untrusted_payload) {
  Measured out;
  for (auto [name, member] :
       {std::pair{"epsilon", &out.epsilon}, std::pair{"accuracy", &out.accuracy},
        std::pair{"noise_accuracy", &out.noise_accuracy}}) {
    absl::StatusOr<double> value = Share(untrusted_payload, name);
    if (!value.ok()) return value.status();
    *member = *value;
  }
  return out;
}

std::vector<CurvePoint> Gather(const std::vector<Measured>& measured) {
  std::map<double, CurvePoint> by_epsilon;
  for (const Measured& one : measured) {
    CurvePoint& point = by_epsilon[one.epsilon];
    if (point.units == 0) point.lowest = point.highest = one.accuracy;
    point.epsilon = one.epsilon;
    ++point.units;
    point.mean += one.accuracy;  // sums until the end
    point.noise_mean += one.noise_accuracy;
    point.lowest = std::min(point.lowest, one.accuracy);
    point.highest = std::max(point.highest, one.accuracy);
  }
  std::vector<CurvePoint> curve;
  for (auto& [epsilon, point] : by_epsilon) {
    point.mean /= point.units;
    point.noise_mean /= point.units;
    curve.push_back(point);
  }
  return curve;
}

}  // namespace auspex::cli::lab
