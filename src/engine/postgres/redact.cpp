#include "engine/postgres/redact.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace tidemark::engine::postgres {

namespace {

constexpr std::string_view kMask = "***";
constexpr std::array<std::string_view, 5> kSecretKeys{
    "password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"};

std::optional<std::size_t> scheme_length(std::string_view url)
{
    for (std::string_view scheme : {"postgresql://", "postgres://"})
        if (url.starts_with(scheme)) return scheme.size();
    return std::nullopt;
}

std::string percent_decode(std::string_view text)
{
    const auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
            digit(text[i + 2]) >= 0) {
            out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string redact_query(std::string_view query)
{
    std::string out;
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view part = query.substr(0, end);
        const std::size_t equals = part.find('=');
        if (equals != part.npos && is_secret_key(percent_decode(part.substr(0, equals)))) {
            out += part.substr(0, equals + 1);
            out += kMask;
        } else {
            out += part;
        }
        if (end < query.size()) out += '&';
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return out;
}

std::string redact_uri(std::string_view url, std::size_t scheme)
{
    std::string out(url.substr(0, scheme));
    std::string_view rest = url.substr(scheme);
    // Whatever stands between the first ':' and the last '@' may be the password, or a part of one
    // that nobody encoded.
    const std::size_t at = rest.rfind('@');
    const std::size_t colon = rest.find(':');
    if (at != rest.npos && colon != rest.npos && colon < at) {
        out += rest.substr(0, colon + 1);
        out += kMask;
        rest.remove_prefix(at);
    }
    const std::size_t query = rest.find('?');
    if (query == rest.npos) return out += rest;
    out += rest.substr(0, query + 1);
    return out += redact_query(rest.substr(query + 1));
}

/// End of the value that begins at `at`, by libpq's rules; absent when a quote is not closed.
std::optional<std::size_t> value_end(std::string_view text, std::size_t at)
{
    const bool quoted = at < text.size() && text[at] == '\'';
    for (std::size_t i = quoted ? at + 1 : at; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (quoted && text[i] == '\'') {
            return i + 1;
        } else if (!quoted && std::isspace(static_cast<unsigned char>(text[i])) != 0) {
            return i;
        }
    }
    if (quoted) return std::nullopt;
    return text.size();
}

std::string redact_keywords(std::string_view text)
{
    const auto space = [&](std::size_t i) {
        return std::isspace(static_cast<unsigned char>(text[i])) != 0;
    };
    std::string out;
    std::size_t at = 0;
    while (at < text.size()) {
        if (space(at)) {
            out += text[at++];
            continue;
        }
        std::size_t key_end = at;
        while (key_end < text.size() && text[key_end] != '=' && !space(key_end))
            ++key_end;
        const std::string_view key = text.substr(at, key_end - at);
        std::size_t value = key_end;
        while (value < text.size() && space(value))
            ++value;
        // Not a key: it may be the tail of a password with a blank in it.
        if (value >= text.size() || text[value] != '=') return out += kMask;
        ++value;
        while (value < text.size() && space(value))
            ++value;
        const auto end = value_end(text, value);
        if (!end) return out.append(key).append("=").append(kMask);
        out.append(key).append("=");
        out += is_secret_key(key) ? kMask : text.substr(value, *end - value);
        at = *end;
    }
    return out;
}

} // namespace

bool is_secret_key(std::string_view key)
{
    std::string lower(key);
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::ranges::find(kSecretKeys, lower) != kSecretKeys.end();
}

std::string redact_url(std::string_view url)
{
    if (const auto scheme = scheme_length(url)) return redact_uri(url, *scheme);
    return redact_keywords(url);
}

std::string url_defect(std::string_view url)
{
    const auto scheme = scheme_length(url);
    if (!scheme) return {};
    std::string_view rest = url.substr(*scheme);
    // libpq looks for the '@' only up to the first '/' and takes the first one it meets.
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::size_t at = rest.find('@');
    if (at == rest.npos) return {};
    if (at > slash) {
        const std::size_t query = std::min(rest.find('?'), rest.size());
        if (at < query)
            return "it holds a '/' before the '@'; in a user name or password write '/' as %2F";
        return {};
    }
    const std::size_t next = rest.find('@', at + 1);
    const std::size_t query = std::min(rest.find('?', at), rest.size());
    if (next != rest.npos && next < query)
        return "it holds more than one '@'; in a user name or password write '@' as %40";
    return {};
}

std::string scrub(std::string text, std::string_view secret)
{
    if (secret.size() < 4) return text;
    for (std::size_t at = text.find(secret); at != text.npos; at = text.find(secret, at)) {
        text.replace(at, secret.size(), kMask);
        at += kMask.size();
    }
    return text;
}

} // namespace tidemark::engine::postgres
