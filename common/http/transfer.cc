// SPDX-License-Identifier: AGPL-3.0-only
#include "common/http/transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex {
namespace {

constexpr size_t kMaxTarget = 4096;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// "127.example.org" is a name, not this machine: only a whole address counts.
bool IsLoopbackHost(const std::string& host) {
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

bool IsPrintable(std::string_view text, char lowest) {
  return std::all_of(text.begin(), text.end(),
                     [lowest](char c) { return c >= lowest && c < 0x7f; });
}

bool IsToken(std::string_view name) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Nothing that could smuggle a second header, a second request or another host.
absl::Status CheckRequest(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "POST" && request.method != "PUT") {
    return absl::InvalidArgumentError("http: the method is not GET, POST or PUT");
  }
  if (request.method == "GET" && !request.body.empty())
    return absl::InvalidArgumentError("http: a GET has no body");
  if (!request.base.https() && !IsLoopbackHost(request.base.host())) {
    return absl::InvalidArgumentError(
        Cat("http: plain http to ", request.base.authority(), " is not loopback"));
  }
  if (request.target.empty() || request.target[0] != '/' || request.target.size() > kMaxTarget ||
      !IsPrintable(request.target, '!') || request.target.find('#') != std::string::npos) {
    return absl::InvalidArgumentError("http: the request target is malformed");
  }
  for (const auto& [name, value] : request.headers) {
    if (!IsToken(name) || !IsPrintable(value, ' '))
      return absl::InvalidArgumentError(Cat("http: header ", name, " is malformed"));
  }
  return absl::OkStatus();
}

}  // namespace

Transfer::Transfer(Handle& handle, TrustStore& trust, const std::string& user_agent,
                   const HttpRequest& request, const HttpLimits& limits, const HttpSink& sink)
    : handle_(handle),
      trust_(trust),
      user_agent_(user_agent),
      request_(request),
      limits_(limits),
      sink_(sink) {}

Transfer::~Transfer() {
  curl_easy_reset(handle_.easy);  // Forgets every pointer into this object; kept connections stay
                                  // with the multi handle.
  curl_slist_free_all(header_list_);
}

absl::Status Transfer::Prepare() {
  RETURN_IF_ERROR(CheckRequest(request_));
  if (request_.base.https()) RETURN_IF_ERROR(trust_.Load());

  CURL* easy = handle_.easy;
  bool has_type = false;
  const auto add_header = [this](const std::string& line) {
    curl_slist* longer = curl_slist_append(header_list_, line.c_str());
    if (longer == nullptr) return false;
    header_list_ = longer;
    return true;
  };
  // The very text that was signed as @authority.
  bool ok = add_header(Cat("Host: ", request_.base.authority())) && add_header("Expect:");
  for (const auto& [name, value] : request_.headers) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
    has_type = has_type || lower == "content-type";
    ok = ok && add_header(Cat(name, ": ", value));
  }
  if (!has_type) ok = ok && add_header("Content-Type:");

  const auto set = [easy, &ok](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK;
  };
  const std::string url = request_.base.UrlOf(request_.target);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, request_.base.https() ? "https" : "http");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // An unanswered name look-up must not hold up a stop.
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_HTTPHEADER, header_list_);
  set(CURLOPT_USERAGENT, user_agent_.c_str());
  set(CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits_.connect_seconds * 1000));
  set(CURLOPT_NOPROGRESS, 1L);
  if (request_.base.https()) {
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    // The shared store replaces what libcurl would load by itself.
    set(CURLOPT_CAINFO, static_cast<char*>(nullptr));
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
    set(CURLOPT_SSL_CTX_FUNCTION, &Transfer::OnTls);
    set(CURLOPT_SSL_CTX_DATA, static_cast<void*>(this));
  } else {
    set(CURLOPT_PROXY, "");
  }
  if (request_.method == "GET") {
    set(CURLOPT_HTTPGET, 1L);
  } else {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.data());
    if (request_.method == "PUT") set(CURLOPT_CUSTOMREQUEST, "PUT");
  }
  set(CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  if (!ok) return absl::InternalError("http: libcurl refused an option");
  return absl::OkStatus();
}

absl::StatusOr<HttpResponse> Transfer::Run(std::stop_token stop) {
  started_ = last_sign_ = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(Prepare());
  if (curl_multi_add_handle(handle_.multi, handle_.easy) != CURLM_OK)
    return absl::InternalError("http: libcurl refused a handle");
  absl::Status status = Drive(stop);
  curl_multi_remove_handle(handle_.multi, handle_.easy);
  if (!failure_.ok()) return failure_;
  RETURN_IF_ERROR(status);
  return std::move(response_);
}

absl::Status Transfer::Drive(std::stop_token& stop) {
  CURLM* multi = handle_.multi;
  std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
  while (true) {
    if (stop.stop_requested())
      return absl::CancelledError(Cat(request_.base.authority(), ": stopping"));
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK)
      return absl::InternalError("http: libcurl failed");
    if (running == 0) {
      int left = 0;
      while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
        if (message->msg == CURLMSG_DONE) return StatusOf(message->data.result);
      }
      return absl::InternalError("http: libcurl ended without a result");
    }
    const Time now = std::chrono::steady_clock::now();
    RETURN_IF_ERROR(CheckTime(now));
    const auto since = [now](Time then) {
      return std::chrono::duration<double>(now - then).count();
    };
    double wait = limits_.total_seconds - since(started_);
    if (request_sent_) wait = std::min(wait, limits_.stall_seconds - since(last_sign_));
    wait = std::clamp(wait, 0.0, 1.0);
    curl_multi_poll(multi, nullptr, 0, static_cast<int>(wait * 1000) + 1, nullptr);
  }
}

absl::Status Transfer::CheckTime(Time now) {
  const auto since = [now](Time then) { return std::chrono::duration<double>(now - then).count(); };
  if (!request_sent_) {
    // Until the request goes out only the connect limit counts; libcurl keeps it.
    long request_octets = 0;
    curl_easy_getinfo(handle_.easy, CURLINFO_REQUEST_SIZE, &request_octets);
    if (request_octets > 0) {
      request_sent_ = true;
      last_sign_ = now;
    }
  } else {
    curl_off_t uploaded = 0;
    curl_easy_getinfo(handle_.easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    if (uploaded != uploaded_) {
      uploaded_ = uploaded;
      last_sign_ = now;
    }
  }
  if (since(started_) >= limits_.total_seconds) {
    return absl::DeadlineExceededError(Cat(request_.base.authority(),
                                           ": no end of the call within ",
                                           static_cast<int64_t>(limits_.total_seconds), " s"));
  }
  if (request_sent_ && since(last_sign_) >= limits_.stall_seconds) {
    return absl::DeadlineExceededError(Cat(request_.base.authority(), ": silent for ",
                                           static_cast<int64_t>(limits_.stall_seconds), " s"));
  }
  return absl::OkStatus();
}

absl::Status Transfer::StatusOf(CURLcode code) const {
  if (code == CURLE_OK) {
    if (response_.status < 200 || response_.status > 599) {
      return absl::UnavailableError(
          Cat(request_.base.authority(), ": HTTP status ", response_.status));
    }
    return absl::OkStatus();
  }
  const std::string message = Cat(request_.base.authority(), ": ", curl_easy_strerror(code));
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(message);
    case CURLE_OUT_OF_MEMORY:
      return absl::ResourceExhaustedError(message);
    case CURLE_PARTIAL_FILE:
      return absl::UnavailableError(Cat(request_.base.authority(), ": the body was cut off"));
    default:
      return absl::UnavailableError(message);
  }
}

bool Transfer::TakeHeaderLine(std::string_view line) {
  last_sign_ = std::chrono::steady_clock::now();
  header_octets_ += line.size();
  if (header_octets_ > limits_.max_header_octets || ++header_lines_ > limits_.max_headers) {
    failure_ = absl::ResourceExhaustedError(
        Cat(request_.base.authority(), ": the answer's headers are too large"));
    return false;
  }
  if (line.substr(0, 5) == "HTTP/") {
    // A 100 may come before the answer proper: only the last block counts.
    response_.headers.clear();
    const size_t blank = line.find(' ');
    response_.status = 0;
    for (size_t i = 0; blank != std::string_view::npos && i < 3 && blank + 1 + i < line.size();
         ++i) {
      const char c = line[blank + 1 + i];
      if (c < '0' || c > '9') break;
      response_.status = response_.status * 10 + (c - '0');
    }
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return true;
  std::string name(line.substr(0, colon));
  if (!IsToken(name)) return true;
  std::transform(name.begin(), name.end(), name.begin(), Lower);
  const std::string_view value = Trim(line.substr(colon + 1));
  auto [it, is_new] = response_.headers.try_emplace(std::move(name), value);
  if (!is_new) {
    it->second += ", ";
    it->second += value;
  }
  return true;
}

bool Transfer::TakeBody(std::string_view octets) {
  last_sign_ = std::chrono::steady_clock::now();
  body_octets_ += octets.size();
  if (body_octets_ > limits_.max_body_octets) {
    failure_ =
        absl::ResourceExhaustedError(Cat(request_.base.authority(), ": the answer is larger than ",
                                         limits_.max_body_octets, " octets"));
    return false;
  }
  if (sink_ && response_.status == 200) {
    failure_ = sink_(octets);
    last_sign_ =
        std::chrono::steady_clock::now();  // The time that the sink took is not the peer's.
    return failure_.ok();
  }
  response_.body.append(octets);
  return true;
}

size_t Transfer::OnHeader(char* data, size_t size, size_t count, void* self) {
  const size_t octets = size * count;
  return static_cast<Transfer*>(self)->TakeHeaderLine({data, octets}) ? octets : 0;
}

size_t Transfer::OnBody(char* data, size_t size, size_t count, void* self) {
  const size_t octets = size * count;
  // libcurl reads another number as failure; an empty piece must not look like one.
  return static_cast<Transfer*>(self)->TakeBody({data, octets}) ? octets : CURL_WRITEFUNC_ERROR;
}

CURLcode Transfer::OnTls(CURL*, void* context, void* self) {
  static_cast<Transfer*>(self)->trust_.Apply(static_cast<ssl_ctx_st*>(context));
  return CURLE_OK;
}

}  // namespace auspex
