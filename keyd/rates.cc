// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/rates.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/base/cat.h"
#include "common/ids/ids.h"

namespace auspex::keyd {
namespace {

struct Default {
  Intent intent;
  SigningRate rate;
};

// The fastest worker that was measured finishes about 130 units a second on one machine, each with
// about one poll, result, submission, receipt and at times a refusal: 500 a second leaves four times
// that, and 5,000 at once lets a worker that was offline send what it kept. Everything else is far
// from units: heartbeats come once a minute (twenty a second with the shortest interval that makes
// sense), packages once an experiment, the owner's acts once in a worker's life. Those rates bound
// what a caller that went wrong can have signed and written to the journal, and no more.
constexpr Default kDefaults[] = {
    {Intent::kPoll, {500, 5000}},         {Intent::kRefuse, {500, 5000}},
    {Intent::kSubmitResult, {500, 5000}}, {Intent::kFetchReceipt, {500, 5000}},
    {Intent::kSignResult, {500, 5000}},   {Intent::kSignRawText, {500, 5000}},
    {Intent::kHeartbeat, {50, 500}},      {Intent::kFetchPackage, {50, 500}},
    {Intent::kPrestage, {5, 100}},        {Intent::kSupportedModels, {5, 100}},
    {Intent::kServeRecovered, {5, 100}},  {Intent::kGetAttribution, {5, 100}},
    {Intent::kPutAttribution, {5, 100}},  {Intent::kUpgrade, {1, 60}},
    {Intent::kRetire, {1, 60}},           {Intent::kUnbind, {1, 60}},
    {Intent::kSignCheckpoint, {5, 100}},  {Intent::kCreateKey, {1, 60}},
    {Intent::kImportKey, {1, 60}},        {Intent::kSealKey, {1, 60}},
    {Intent::kSetEnrolment, {1, 60}},     {Intent::kOpenGrant, {1, 60}},
};

constexpr double kNanosOfSecond = 1e9;

// "500", "0.25".
std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace

Rates::Rates(const Clock& clock) : clock_(clock) {
  for (const Default& one : kDefaults) Set(one.intent, one.rate);
}

absl::StatusOr<std::unique_ptr<Rates>> Rates::Create(const Overrides& overrides,
                                                     const Clock& clock) {
  auto rates = std::make_unique<Rates>(clock);
  for (const auto& [word, rate] : overrides) {
    const auto* known =
        std::find_if(std::begin(kDefaults), std::end(kDefaults),
                     [&named = word](const Default& d) { return IntentWord(d.intent) == named; });
    if (known == std::end(kDefaults)) {
      std::string words;
      for (const Default& one : kDefaults) {
        words += Cat(words.empty() ? "" : ", ", IntentWord(one.intent));
      }
      return absl::InvalidArgumentError(Cat("keyd.rates: '", Printable(word),
                                            "' is no intent that has a rate; those are ", words));
    }
    rates->Set(known->intent, rate);
  }
  return rates;
}

void Rates::Set(Intent intent, const SigningRate& rate) {
  Bucket& bucket = *Find(intent);
  bucket.rate = rate;
  bucket.step = std::llround(kNanosOfSecond / rate.per_second);
  bucket.slack = bucket.step * (rate.burst - 1);
}

Rates::Bucket* Rates::Find(Intent intent) {
  const auto number = static_cast<size_t>(intent);
  return number < buckets_.size() ? &buckets_[number] : nullptr;
}

const Rates::Bucket* Rates::Find(Intent intent) const {
  const auto number = static_cast<size_t>(intent);
  return number < buckets_.size() ? &buckets_[number] : nullptr;
}

SigningRate Rates::Of(Intent intent) const {
  const Bucket* bucket = Find(intent);
  return bucket == nullptr ? SigningRate{} : bucket->rate;
}

absl::Status Rates::Take(Intent intent) {
  Bucket* bucket = Find(intent);
  if (bucket == nullptr || bucket->step == 0) return absl::OkStatus();
  const int64_t now = clock_.MonotonicMicros() * 1000;
  int64_t full_at = bucket->full_at.load(std::memory_order_relaxed);
  while (true) {
    const int64_t from = std::max(full_at, now);
    if (from - now > bucket->slack) {
      const double wait = static_cast<double>(from - now - bucket->slack) / kNanosOfSecond;
      return absl::ResourceExhaustedError(
          Cat("rate: more than ", Number(bucket->rate.per_second), " ", IntentWord(intent),
              " a second after ", bucket->rate.burst, " at once; ask again in ",
              Number(std::max(wait, 0.001)), " s (keyd.rates in the configuration)"));
    }
    if (bucket->full_at.compare_exchange_weak(full_at, from + bucket->step,
                                              std::memory_order_relaxed)) {
      return absl::OkStatus();
    }
  }
}

}  // namespace auspex::keyd
