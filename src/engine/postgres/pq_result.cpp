#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <charconv>

namespace tidemark::engine::postgres {

namespace {

template <typename Free> const PGresult* raw(const std::unique_ptr<void, Free>& handle)
{
    return static_cast<const PGresult*>(handle.get());
}

base::Error unexpected(std::string_view what, std::string_view value)
{
    return {base::Code::failed,
            fmt::format("the server sent '{}' where {} was expected", value.substr(0, 80), what)};
}

void require_cell(const Result& result, int row, int col)
{
    if (row < 0 || row >= result.rows() || col < 0 || col >= result.columns())
        throw base::Error{base::Code::failed,
                          fmt::format("the server's answer has {} rows and {} columns; row {}, "
                                      "column {} was expected",
                                      result.rows(), result.columns(), row, col)};
}

} // namespace

Result::Result() = default;
Result::Result(void* handle) : handle_(handle) {}
Result::Result(Result&&) noexcept = default;
Result& Result::operator=(Result&&) noexcept = default;
Result::~Result() = default;

void Result::Free::operator()(void* handle) const
{
    PQclear(static_cast<PGresult*>(handle));
}

ResultKind Result::kind() const
{
    if (!handle_) return ResultKind::none;
    switch (PQresultStatus(raw(handle_))) {
    case PGRES_TUPLES_OK:
        return ResultKind::rows;
    case PGRES_COPY_OUT:
        return ResultKind::copy_out;
    case PGRES_COPY_IN:
        return ResultKind::copy_in;
    case PGRES_COPY_BOTH:
        return ResultKind::copy_both;
    default:
        return ResultKind::command;
    }
}

int Result::rows() const
{
    return handle_ ? PQntuples(raw(handle_)) : 0;
}
int Result::columns() const
{
    return handle_ ? PQnfields(raw(handle_)) : 0;
}

int Result::column(const std::string& name) const
{
    for (int number = 0; number < columns(); ++number)
        if (name == PQfname(raw(handle_), number)) return number;
    throw base::Error{base::Code::failed,
                      fmt::format("the server's answer has no column {}", name)};
}

bool Result::is_null(int row, int col) const
{
    require_cell(*this, row, col);
    return PQgetisnull(raw(handle_), row, col) == 1;
}

std::string_view Result::get(int row, int col) const
{
    require_cell(*this, row, col);
    return {PQgetvalue(raw(handle_), row, col),
            static_cast<std::size_t>(PQgetlength(raw(handle_), row, col))};
}

std::optional<std::string> Result::text(int row, int col) const
{
    if (is_null(row, col)) return std::nullopt;
    return std::string(get(row, col));
}

std::optional<std::int64_t> Result::integer(int row, int col) const
{
    if (is_null(row, col)) return std::nullopt;
    const std::string_view value = get(row, col);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size())
        throw unexpected("a number", value);
    return number;
}

std::optional<bool> Result::boolean(int row, int col) const
{
    if (is_null(row, col)) return std::nullopt;
    const std::string_view value = get(row, col);
    if (value == "t" || value == "on" || value == "true") return true;
    if (value == "f" || value == "off" || value == "false") return false;
    throw unexpected("true or false", value);
}

std::optional<model::Offset> Result::lsn(int row, int col) const
{
    if (is_null(row, col)) return std::nullopt;
    const auto offset = model::parse_offset(get(row, col));
    if (!offset) throw unexpected("a log position", get(row, col));
    return offset;
}

} // namespace tidemark::engine::postgres
