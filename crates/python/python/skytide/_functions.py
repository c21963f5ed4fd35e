"""The engine's functions as methods: made from its registry by ``tools/generate_functions.py``, not by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._timestream import Arg, Timestream, Window


class Functions:
    """Every function of the engine."""

    if TYPE_CHECKING:

        @staticmethod
        def _call(
            function: str, *args: object, input: object = None, **named: object
        ) -> Timestream: ...

    def filter(self, condition: Arg) -> Timestream:
        """The points at which a condition is true.

        Points at which it is false or null are left out. Bare names in the condition are fields of
        the stream. A value that holds between its points is cut to the points of the condition. A
        condition on another stream's value has that stream's points, too, at which there is
        nothing to filter: `posts.filter(likes.count().lookup(did) > 10)` asks for it at posts
        alone.

        ``filter<T: any>(self: T, condition: bool) -> T``
        """
        return self._call("filter", self, condition, input=self)

    def with_key(self, key: Arg, grouping: Arg = None) -> Timestream:
        """The same points under another key.

        Null is a key of its own. Points keep their order. The grouping, which two streams must
        share to be used in one expression, is called as the key is written, unless `grouping`
        names it.

        ``with_key<T: any, K: any>(self: T, key: K, grouping: utf8?) -> T``
        """
        return self._call("with_key", self, key, input=self, grouping=grouping)

    def lookup(self, key: Arg) -> Timestream:
        """Another stream's value, of the key that an expression gives.

        Called on the stream that is looked up; the points and the grouping are those of the key's
        expression. The value is as of the point; where the two are of different sources, as of the
        end of its nanosecond. A value that does not hold between its points answers at that very
        time only. Null for a null key and for one that has had no point.

        ``lookup<T: any, K: any>(self: T, key: K) -> T``
        """
        return self._call("lookup", self, key, input=self)

    def hash(self) -> Timestream:
        """A number made of the value, the same for equal values, for ever.

        The hash of null is 0. It is the hash that decides which worker holds a key.

        ``hash<T: any>(self: T) -> u64``
        """
        return self._call("hash", self, input=self)

    def count(self, window: Window | None = None) -> Timestream:
        """How many values that are not null the key has had so far.

        Never null from the key's first point on. Of a whole stream it counts the points.

        ``count<T: any>(self: T) -> i64``
        """
        return self._call("count", self, input=self, window=window)

    def count_if(self, window: Window | None = None) -> Timestream:
        """At how many points the condition was true so far.

        Never null from the key's first point on.

        ``count_if(self: bool) -> i64``
        """
        return self._call("count_if", self, input=self, window=window)

    def sum(self, window: Window | None = None) -> Timestream:
        """The sum of the key's values so far.

        Null before the first value. Signed numbers are summed as i64, unsigned as u64, floats as
        f64 in the order of the points. An overflow makes it null, from then on, and is counted.

        ``sum<N: wide>(self: N) -> N``
        """
        return self._call("sum", self, input=self, window=window)

    def min(self, window: Window | None = None) -> Timestream:
        """The least of the key's values so far.

        Null before the first value. Text is compared by its bytes in UTF-8.

        ``min<T: ordered>(self: T) -> T``
        """
        return self._call("min", self, input=self, window=window)

    def max(self, window: Window | None = None) -> Timestream:
        """The greatest of the key's values so far.

        Null before the first value. Text is compared by its bytes in UTF-8.

        ``max<T: ordered>(self: T) -> T``
        """
        return self._call("max", self, input=self, window=window)

    def mean(self, window: Window | None = None) -> Timestream:
        """The mean of the key's values so far.

        Null before the first value. Values are summed as f64 in the order of the points.

        ``mean<N: number>(self: N) -> f64``
        """
        return self._call("mean", self, input=self, window=window)

    def variance(self, window: Window | None = None) -> Timestream:
        """The population variance of the key's values so far.

        The mean square of the distances from the mean. Null below two values. By Welford's method
        as f64, in the order of the points.

        ``variance<N: number>(self: N) -> f64``
        """
        return self._call("variance", self, input=self, window=window)

    def stddev(self, window: Window | None = None) -> Timestream:
        """The population standard deviation of the key's values so far.

        The square root of the variance. Null below two values.

        ``stddev<N: number>(self: N) -> f64``
        """
        return self._call("stddev", self, input=self, window=window)

    def first(self, window: Window | None = None) -> Timestream:
        """The key's first value that was not null.

        Null before the first value. Of a whole stream it is the struct of its columns.

        ``first<T: any>(self: T) -> T``
        """
        return self._call("first", self, input=self, window=window)

    def last(self, window: Window | None = None) -> Timestream:
        """The key's newest value that was not null.

        Null before the first value. It holds between points: beside another stream it is the
        newest value as of that stream's points.

        ``last<T: any>(self: T) -> T``
        """
        return self._call("last", self, input=self, window=window)

    def lag(self, n: int, *, window: Window | None = None) -> Timestream:
        """The key's n-th value that was not null before its newest.

        `n` is a constant; 0 is the newest. Null before there are that many.

        ``lag<T: any>(self: T, n: i64) -> T``
        """
        return self._call("lag", self, n, input=self, window=window)

    def collect(
        self, max: int | None = None, *, min: int | None = None, window: Window | None = None
    ) -> Timestream:
        """The key's values that were not null, as a list.

        `max` and `min` are constants: of more than `max` the newest are kept; the list is null
        while it has less than `min` values. Without values it is empty. A list without `max` grows
        for ever.

        ``collect<T: any>(self: T, max: i64?, min: i64?) -> list<T>``
        """
        return self._call("collect", self, input=self, max=max, min=min, window=window)

    def add(self, rhs: Arg) -> Timestream:
        """The sum of two numbers, or a moment so much later.

        Null where one is null. A whole number beside a float becomes a float. An overflow of whole
        numbers, moments or lengths of time is null and counted.

        ``add<N: number>(self: N, rhs: N) -> N``
        """
        return self._call("add", self, rhs, input=self)

    def sub(self, rhs: Arg) -> Timestream:
        """The difference of two numbers or moments, or a moment so much earlier.

        Null where one is null. An overflow of whole numbers, as below 0 of unsigned ones, of
        moments or lengths of time is null and counted.

        ``sub<N: number>(self: N, rhs: N) -> N``
        """
        return self._call("sub", self, rhs, input=self)

    def mul(self, rhs: Arg) -> Timestream:
        """The product of two numbers.

        Null where one is null. An overflow of whole numbers is null and counted.

        ``mul<N: number>(self: N, rhs: N) -> N``
        """
        return self._call("mul", self, rhs, input=self)

    def div(self, divisor: Arg) -> Timestream:
        """The quotient of two numbers.

        Of whole numbers it is cut towards zero, and null where the divisor is 0; of floats it is
        as IEEE 754 says. Null where one is null.

        ``div<N: number>(self: N, divisor: N) -> N``
        """
        return self._call("div", self, divisor, input=self)

    def rem(self, rhs: Arg) -> Timestream:
        """What is left of a division.

        It has the sign of the dividend. Null where one is null, and of whole numbers where the
        divisor is 0.

        ``rem<N: number>(self: N, rhs: N) -> N``
        """
        return self._call("rem", self, rhs, input=self)

    def neg(self) -> Timestream:
        """The number with the other sign.

        An unsigned number becomes the signed type that holds it; of a u64 what i64 does not hold
        is null and counted.

        ``neg<N: signed>(self: N) -> N``
        """
        return self._call("neg", self, input=self)

    def ceil(self) -> Timestream:
        """The least whole number that is not below a number.

        It keeps its type: a float is rounded up, a whole number is itself.

        ``ceil<N: number>(self: N) -> N``
        """
        return self._call("ceil", self, input=self)

    def floor(self) -> Timestream:
        """The greatest whole number that is not above a number.

        It keeps its type: a float is rounded down, a whole number is itself.

        ``floor<N: number>(self: N) -> N``
        """
        return self._call("floor", self, input=self)

    def round(self) -> Timestream:
        """The whole number nearest to a number.

        Halves go away from zero: 0.5 becomes 1.0, -0.5 becomes -1.0. It keeps its type; a whole
        number is itself.

        ``round<N: number>(self: N) -> N``
        """
        return self._call("round", self, input=self)

    def exp(self) -> Timestream:
        """Euler's number to a power.

        Whole numbers become floats. The last digit may depend on the machine's mathematical
        library.

        ``exp(self: f64) -> f64``
        """
        return self._call("exp", self, input=self)

    def powf(self, power: Arg) -> Timestream:
        """A number to the power of another.

        Whole numbers become floats. As IEEE 754 says: anything to the power 0 is 1, a negative
        number to a power that is not whole is NaN. The last digit may depend on the machine's
        mathematical library.

        ``powf(self: f64, power: f64) -> f64``
        """
        return self._call("powf", self, power, input=self)

    def sqrt(self) -> Timestream:
        """The square root of a number.

        Whole numbers become floats. Of a number below 0 it is NaN.

        ``sqrt(self: f64) -> f64``
        """
        return self._call("sqrt", self, input=self)

    def clamp(self, min: Arg = None, max: Arg = None) -> Timestream:
        """The number, or the bound that it is beyond.

        A bound that is left out, null or NaN is no bound. Null where the number is null, and where
        `max` is below `min`.

        ``clamp<N: number>(self: N, min: N?, max: N?) -> N``
        """
        return self._call("clamp", self, input=self, min=min, max=max)

    def greatest(self, rhs: Arg) -> Timestream:
        """The greater of two values.

        Null where one is null. Of a number and NaN it is the number, of equal values the first.
        Text goes by bytes.

        ``greatest<T: ordered>(self: T, rhs: T) -> T``
        """
        return self._call("greatest", self, rhs, input=self)

    def least(self, rhs: Arg) -> Timestream:
        """The lesser of two values.

        Null where one is null. Of a number and NaN it is the number, of equal values the first.
        Text goes by bytes.

        ``least<T: ordered>(self: T, rhs: T) -> T``
        """
        return self._call("least", self, rhs, input=self)

    def eq(self, other: Arg) -> Timestream:
        """Whether two values are equal.

        Null where one is null. Floats compare as IEEE 754 says: NaN is equal to nothing. Text goes
        by its bytes in UTF-8. A text literal beside a moment or a length of time is read as one; a
        length of time beside a count of seconds (`seconds_since…`) is as many.

        ``eq<T: any>(self: T, other: T) -> bool``
        """
        return self._call("eq", self, other, input=self)

    def ne(self, other: Arg) -> Timestream:
        """Whether two values differ.

        Null where one is null. Floats compare as IEEE 754 says: NaN is equal to nothing. Text goes
        by its bytes in UTF-8. A text literal beside a moment or a length of time is read as one; a
        length of time beside a count of seconds (`seconds_since…`) is as many.

        ``ne<T: any>(self: T, other: T) -> bool``
        """
        return self._call("ne", self, other, input=self)

    def lt(self, rhs: Arg) -> Timestream:
        """Whether the first is less than the second.

        Null where one is null. Floats compare as IEEE 754 says: NaN is equal to nothing. Text goes
        by its bytes in UTF-8. A text literal beside a moment or a length of time is read as one; a
        length of time beside a count of seconds (`seconds_since…`) is as many.

        ``lt<T: ordered>(self: T, rhs: T) -> bool``
        """
        return self._call("lt", self, rhs, input=self)

    def le(self, rhs: Arg) -> Timestream:
        """Whether the first is at most the second.

        Null where one is null. Floats compare as IEEE 754 says: NaN is equal to nothing. Text goes
        by its bytes in UTF-8. A text literal beside a moment or a length of time is read as one; a
        length of time beside a count of seconds (`seconds_since…`) is as many.

        ``le<T: ordered>(self: T, rhs: T) -> bool``
        """
        return self._call("le", self, rhs, input=self)

    def gt(self, rhs: Arg) -> Timestream:
        """Whether the first is greater than the second.

        Null where one is null. Floats compare as IEEE 754 says: NaN is equal to nothing. Text goes
        by its bytes in UTF-8. A text literal beside a moment or a length of time is read as one; a
        length of time beside a count of seconds (`seconds_since…`) is as many.

        ``gt<T: ordered>(self: T, rhs: T) -> bool``
        """
        return self._call("gt", self, rhs, input=self)

    def ge(self, rhs: Arg) -> Timestream:
        """Whether the first is at least the second.

        Null where one is null. Floats compare as IEEE 754 says: NaN is equal to nothing. Text goes
        by its bytes in UTF-8. A text literal beside a moment or a length of time is read as one; a
        length of time beside a count of seconds (`seconds_since…`) is as many.

        ``ge<T: ordered>(self: T, rhs: T) -> bool``
        """
        return self._call("ge", self, rhs, input=self)

    def and_(self, rhs: Arg) -> Timestream:
        """Whether both are true.

        False where one is false, whatever the other; else null where one is null.

        ``and(self: bool, rhs: bool) -> bool``
        """
        return self._call("and", self, rhs, input=self)

    def or_(self, rhs: Arg) -> Timestream:
        """Whether one is true.

        True where one is true, whatever the other; else null where one is null.

        ``or(self: bool, rhs: bool) -> bool``
        """
        return self._call("or", self, rhs, input=self)

    def not_(self) -> Timestream:
        """True for false, false for true.

        Null where it is null.

        ``not(self: bool) -> bool``
        """
        return self._call("not", self, input=self)

    def is_null(self) -> Timestream:
        """Whether there is no value.

        Never null at its own points.

        ``is_null<T: any>(self: T) -> bool``
        """
        return self._call("is_null", self, input=self)

    def is_not_null(self) -> Timestream:
        """Whether there is a value.

        Never null at its own points.

        ``is_not_null<T: any>(self: T) -> bool``
        """
        return self._call("is_not_null", self, input=self)

    def if_(self, condition: Arg) -> Timestream:
        """The value where a condition is true, else null.

        Null where the condition is false or null.

        ``if_<T: any>(self: T, condition: bool) -> T``
        """
        return self._call("if_", self, condition, input=self)

    def else_(self, other: Arg) -> Timestream:
        """The value, or another where there is none.

        Null only where both are null. It has no points but those of its arguments, and of an
        aggregation none before its first: `a.count() - b.count().else_(0)` is null until the key
        has a point of `b`. A default until then is given to the whole: `(a.count() -
        b.count()).else_(a.count())`.

        ``else_<T: any>(self: T, other: T) -> T``
        """
        return self._call("else_", self, other, input=self)

    def null_if(self, condition: Arg) -> Timestream:
        """The value where a condition is false, else null.

        Null where the condition is true or null.

        ``null_if<T: any>(self: T, condition: bool) -> T``
        """
        return self._call("null_if", self, condition, input=self)

    def coalesce(self, arg: Arg, *args: Arg) -> Timestream:
        """The first of several values that is not null.

        Takes any number of values. Null only where all are null.

        ``coalesce<T: any>(self: T, args: T...) -> T``
        """
        return self._call("coalesce", self, arg, *args, input=self)

    def len(self) -> Timestream:
        """The number of characters of a text.

        Characters are Unicode's code points, not bytes. Null where the text is null.

        ``len(self: utf8) -> i64``
        """
        return self._call("len", self, input=self)

    def lower(self) -> Timestream:
        """The text in lower case.

        Null where the text is null.

        ``lower(self: utf8) -> utf8``
        """
        return self._call("lower", self, input=self)

    def upper(self) -> Timestream:
        """The text in upper case.

        Null where the text is null.

        ``upper(self: utf8) -> utf8``
        """
        return self._call("upper", self, input=self)

    def substring(self, start: Arg = None, end: Arg = None) -> Timestream:
        """The characters of a text from one place up to another.

        Places are counted from 0, negative ones from the end: -1 is the last character. The
        character at `end` is not part of it. A bound that is left out or null is no bound; what
        lies beyond the text is cut off; a text that ends before it starts is empty. Null where the
        text is null.

        ``substring(self: utf8, start: i64?, end: i64?) -> utf8``
        """
        return self._call("substring", self, input=self, start=start, end=end)

    def starts_with(self, start: Arg) -> Timestream:
        """Whether a text begins with another.

        Capitals count: `text.lower().starts_with("re:")` takes both. Null where one of the two is
        null.

        ``starts_with(self: utf8, start: utf8) -> bool``
        """
        return self._call("starts_with", self, start, input=self)

    def ends_with(self, end: Arg) -> Timestream:
        """Whether a text ends with another.

        Capitals count. Null where one of the two is null.

        ``ends_with(self: utf8, end: utf8) -> bool``
        """
        return self._call("ends_with", self, end, input=self)

    def index(self, key: Arg) -> Timestream:
        """An item of a list, counted from 0, or the value of a map's key.

        Written `list[0]`, `map["key"]`. Null where there is no such item: beyond the end, before
        the start, in no list; and where a map has no such key. Of equal keys in a map the last
        counts.

        ``index<T: any>(self: list<T>, key: i64) -> T``
        """
        return self._call("index", self, key, input=self)

    def length(self) -> Timestream:
        """The number of items of a list, or of characters of a text.

        Items that are null count. Of a text it is the same as `len`. Null where the list or text
        is null.

        ``length<T: any>(self: list<T>) -> i64``
        """
        return self._call("length", self, input=self)

    def contains(self, part: Arg) -> Timestream:
        """Whether a text has another in it, or a list an item.

        Capitals count: `text.lower().contains("rust")` takes all. The empty text is in every text;
        an item that is null equals nothing. Null where one of the two is null.

        ``contains(self: utf8, part: utf8) -> bool``
        """
        return self._call("contains", self, part, input=self)

    def flatten(self) -> Timestream:
        """The items of the lists in a list, one after the other.

        One level is taken away. A null among the lists has no items; null where the whole is null.

        ``flatten<T: any>(self: list<list<T>>) -> list<T>``
        """
        return self._call("flatten", self, input=self)

    def union(self, other: Arg) -> Timestream:
        """The distinct items of two lists.

        In the order in which they first stand, null among them. A null list has no items, so the
        union is never null.

        ``union<T: any>(self: list<T>, other: list<T>) -> list<T>``
        """
        return self._call("union", self, other, input=self)

    def time(self) -> Timestream:
        """The time of each point.

        Never null at its own points, whatever the value there. Of a value that holds between
        points it is the time of its newest point.

        ``time<T: any>(self: T) -> timestamp``
        """
        return self._call("time", self, input=self)

    def shift_by(self, delta: Arg) -> Timestream:
        """The points, later by a length of time.

        A moved point stands before the events of its new time. A point that would move back, or by
        null, is left out and counted. A point moved by zero stays what it is.

        ``shift_by<T: any>(self: T, delta: duration) -> T``
        """
        return self._call("shift_by", self, delta, input=self)

    def shift_to(self, time: Arg) -> Timestream:
        """The points at another, later time.

        As `shift_by`: a point that would move back, or to null, is left out and counted.

        ``shift_to<T: any>(self: T, time: timestamp) -> T``
        """
        return self._call("shift_to", self, time, input=self)

    def shift_until(self, predicate: Arg) -> Timestream:
        """The points at the time at which a condition is next true of their key.

        A point at which it is true stays what it is; those held since the time before stand before
        the events of that time. Points that are still held at the end are left out and counted.

        ``shift_until<T: any>(self: T, predicate: bool) -> T``
        """
        return self._call("shift_until", self, predicate, input=self)

    def seconds_since_previous(self, n: Arg = None) -> Timestream:
        """The whole seconds since the key's point before, or since the n-th before.

        Null where there is no such point. `n` is a constant; 1 where it is left out.

        ``seconds_since_previous<T: any>(self: T, n: i64?) -> i64``
        """
        return self._call("seconds_since_previous", self, input=self, n=n)

    def seconds_since(self, time: Arg) -> Timestream:
        """The whole seconds from one moment to another.

        Cut towards zero; negative where `time` is the later one. Null where one is null.

        ``seconds_since(self: timestamp, time: timestamp) -> i64``
        """
        return self._call("seconds_since", self, time, input=self)

    def year(self) -> Timestream:
        """The year of a moment.

        In UTC. Null where the moment is null.

        ``year(self: timestamp) -> i64``
        """
        return self._call("year", self, input=self)

    def month(self) -> Timestream:
        """The month of a moment.

        1 to 12, in UTC. Null where the moment is null.

        ``month(self: timestamp) -> i64``
        """
        return self._call("month", self, input=self)

    def day(self) -> Timestream:
        """The day of a moment in its month.

        1 to 31, in UTC. Null where the moment is null.

        ``day(self: timestamp) -> i64``
        """
        return self._call("day", self, input=self)

    def hour(self) -> Timestream:
        """The hour of a moment.

        0 to 23, in UTC. Null where the moment is null.

        ``hour(self: timestamp) -> i64``
        """
        return self._call("hour", self, input=self)

    def minute(self) -> Timestream:
        """The minute of a moment.

        0 to 59, in UTC. Null where the moment is null.

        ``minute(self: timestamp) -> i64``
        """
        return self._call("minute", self, input=self)

    def weekday(self) -> Timestream:
        """The day of a moment in its week.

        0 is Monday, 6 is Sunday, in UTC. Null where the moment is null.

        ``weekday(self: timestamp) -> i64``
        """
        return self._call("weekday", self, input=self)
