// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/retry.h"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <random>
#include <string>

namespace auspex {
namespace {

std::mt19937_64& Generator() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator;
}

}  // namespace

uint32_t RetryAfterSeconds(const HttpResponse& response, int64_t now_unix) {
  if (response.status != 429 && response.status != 503) return 0;
  const std::string_view text = response.Header("retry-after");
  if (text.empty() || text.size() > 64) return 0;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (end == text.data() + text.size() && text[0] != '-') {
    if (error == std::errc::result_out_of_range) return kMaxRetryAfterSeconds;
    if (error != std::errc()) return 0;
  } else {
    tm date = {};
    const std::string copy(text);
    const char* rest = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
    if (rest == nullptr || *rest != '\0') return 0;
    seconds = static_cast<int64_t>(timegm(&date)) - now_unix;
  }
  return static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, kMaxRetryAfterSeconds));
}

double Jitter(double seconds, double fraction) {
  std::uniform_real_distribution<double> factor(1 - fraction, 1 + fraction);
  return std::max(0.0, seconds * factor(Generator()));
}

double RandomUpTo(double seconds) {
  return std::uniform_real_distribution<double>(0, seconds)(Generator());
}

Backoff PollBackoff(double interval_seconds) {
  const double cap = std::clamp(4 * interval_seconds, 2.0, 300.0);
  return Backoff(std::max(interval_seconds, 0.25), std::max(interval_seconds, cap));
}

double Backoff::Next(double at_least) {
  const double delay = std::min(cap_, first_ * std::pow(2.0, std::min(failures_, 30)));
  ++failures_;
  // Never before the time that the coordinator asked for, and spread after it.
  return std::max(Jitter(delay, 0.25),
                  at_least > 0 ? at_least + RandomUpTo(std::min(at_least * 0.05, 5.0)) : 0.0);
}

}  // namespace auspex
