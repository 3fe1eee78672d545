#!/usr/bin/env perl
# check.pl PROBLEM.json PROOF.txt - a second checker of bilevel proofs, in another language and by another arithmetic.
# check.pl --batch                - one answer a line for lines "PROBLEM.json<TAB>PROOF.txt" on standard input.
#
# Written from the description of the format (docs/proofs.md), not from the Python checker, so that a mistake in one is unlikely to be
# in the other. Where they could differ on purpose, they do: a recursive descent over the tree with bounds that are set and put back
# instead of a stack of decisions; integers over common denominators instead of fractions; its own reader of JSON, which refuses a key
# that occurs twice. Perl 5.14 or later and its core modules only.
use strict;
use warnings;
no warnings qw(recursion surrogate);
use utf8;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode FB_CROAK LEAVE_SRC);
use Math::BigInt;

sub refuse { die "REFUSED: $_[0]\n" }

# --- rational numbers: [numerator, denominator], denominator > 0, not reduced until they are stored --------------------------------

my $ONE = Math::BigInt->new(1);
sub whole  { [Math::BigInt->new($_[0]), $ONE] }
sub cut    { my ($n, $d) = @{$_[0]}; my $g = Math::BigInt::bgcd($n, $d); $g->is_one ? $_[0] : [$n / $g, $d / $g] }
sub plus   { my ($p, $q) = @_; cut([$p->[0] * $q->[1] + $q->[0] * $p->[1], $p->[1] * $q->[1]]) }
sub product  { my ($p, $q) = @_; cut([$p->[0] * $q->[0], $p->[1] * $q->[1]]) }
sub over   { my ($p, $q) = @_; my $s = $q->[0]->is_neg ? -1 : 1; product($p, [$q->[1] * $s, $q->[0] * $s]) }
sub minus  { [-$_[0][0], $_[0][1]] }
sub sign   { $_[0][0]->is_zero ? 0 : $_[0][0]->is_neg ? -1 : 1 }
sub order  { my ($p, $q) = @_; ($p->[0] * $q->[1])->bcmp($q->[0] * $p->[1]) }
sub shown  { my $p = cut($_[0]); $p->[1]->is_one ? "$p->[0]" : "$p->[0]/$p->[1]" }
my $ZERO = whole(0);

# A decimal as it is written: digits, point, exponent. No rounding happens.
sub decimal {
    my ($text) = @_;
    $text =~ /^([-+]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]{1,6}))?$/ or refuse("number $text");
    my ($s, $before, $after, $power) = ($1, $2, $3 // '', $4 // 0);
    my $n = Math::BigInt->new("$before$after");
    $n = -$n if $s eq '-';
    $power -= length $after;
    return $power >= 0 ? [$n * Math::BigInt->new(10)->bpow($power), $ONE] : cut([$n, Math::BigInt->new(10)->bpow(-$power)]);
}
sub rational {
    my ($text) = @_;
    return decimal($text) unless $text =~ m{^([-+]?[0-9]+)/([0-9]+)$};
    my ($n, $d) = (Math::BigInt->new($1), Math::BigInt->new($2));
    refuse("a denominator of 0") if $d->is_zero;
    return cut([$n, $d]);
}
sub index_ { my ($text, $size, $what) = @_; ($text // '') =~ /^[0-9]{1,9}$/ && $text < $size or refuse("no such $what"); return 0 + $text }

# --- the problem: JSON whose numbers stay text ------------------------------------------------------------------------------------

sub json {
    my ($text) = @_;
    pos($text) = 0;
    my $value = json_value(\$text);
    $text =~ /\G[ \t\r\n]*\z/gc or refuse("JSON: text after the end");
    return $value;
}
my %plain = ('"' => '"', '\\' => '\\', '/' => '/', b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
sub json_string {
    my ($t) = @_;
    my $out = '';
    while (1) {
        if ($$t =~ /\G([^"\\\x00-\x1f]+)/gc) { $out .= $1 }
        elsif ($$t =~ /\G"/gc) { return $out }
        elsif ($$t =~ /\G\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})/gc) { $out .= chr(0x10000 + ((hex($1) - 0xD800) << 10) + hex($2) - 0xDC00) }
        elsif ($$t =~ /\G\\u([0-9a-fA-F]{4})/gc) { $out .= chr hex $1 }
        elsif ($$t =~ /\G\\(["\\\/bfnrt])/gc) { $out .= $plain{$1} }
        else { refuse("JSON: a string") }
    }
}
sub marked { my ($kind, $text) = @_; return bless \$text, $kind }
sub json_value {
    my ($t) = @_;
    $$t =~ /\G[ \t\r\n]*/gc;
    return json_string($t) if $$t =~ /\G"/gc;
    return marked(Number => $1) if $$t =~ /\G(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)/gc;
    return marked(Truth => $1) if $$t =~ /\G(true|false)/gc;
    return undef if $$t =~ /\Gnull/gc;
    my $object = $$t =~ /\G\{/gc;
    refuse("JSON: a value") unless $object || $$t =~ /\G\[/gc;
    my ($close, %map, @list) = $object ? '}' : ']';
    return $object ? {} : [] if $$t =~ /\G[ \t\r\n]*\Q$close\E/gc;
    while (1) {
        if ($object) {
            $$t =~ /\G[ \t\r\n]*"/gc or refuse("JSON: a key");
            my $key = json_string($t);
            refuse("JSON: the key $key twice") if exists $map{$key};
            $$t =~ /\G[ \t\r\n]*:/gc or refuse("JSON: a colon");
            $map{$key} = json_value($t);
        }
        else { push @list, json_value($t) }
        next if $$t =~ /\G[ \t\r\n]*,/gc;
        $$t =~ /\G[ \t\r\n]*\Q$close\E/gc or refuse("JSON: a comma");
        return $object ? \%map : \@list;
    }
}

sub number { my ($v, $what) = @_; ref $v eq 'Number' or refuse("$what is not a number"); return decimal($$v) }
sub text   { my ($v, $what) = @_; defined $v && !ref $v or refuse("$what is not a text"); return $v }
sub list   { my ($v, $what) = @_; ref $v eq 'ARRAY' or refuse("$what is not a list"); return @$v }
sub map_   { my ($v, $what) = @_; ref $v eq 'HASH' or refuse("$what is not an object"); return $v }
sub said   { my ($v) = @_; return 0 unless defined $v; return 0 if ref $v eq 'ARRAY' && !@$v; return 0 if ref $v eq 'HASH' && !%$v; return 1 }

# --- the system: what every bilevel feasible point, with its multipliers, satisfies ------------------------------------------------
# low, high: bounds of the columns, undef where there is none.   rows: {a => {column => number}, same => equation?, b => number}
# pairs: [sort of slack, its row or column, the multiplier's column].   An extra key `duals` and quadratic leaders are refused.

sub system_of {
    my ($problem) = @_;
    my $P = map_($problem, 'the file');
    refuse('not the optimistic problem') unless !exists $P->{optimistic} || (ref $P->{optimistic} eq 'Truth' && ${$P->{optimistic}} eq 'true');
    refuse('duals are not covered') if said($P->{duals});
    my (@low, @high, @owner, %column, @whole, @rows, @pairs);
    my @followers = map { map_($_, 'a follower') } list($P->{followers}, 'followers');
    my %player = (leader => 1);
    for my $f (@followers) { refuse('a player twice') if $player{text($f->{name}, 'a name')}++ }
    for my $v (map { map_($_, 'a variable') } list($P->{variables}, 'variables')) {
        my ($name, $type) = (text($v->{name}, 'a name'), text(exists $v->{type} ? $v->{type} : 'continuous', 'a type'));
        refuse("the variable $name twice") if exists $column{$name};
        my $j = $column{$name} = @owner;
        push @owner, text($v->{owner}, 'an owner');
        refuse("the owner $owner[$j]") unless $player{$owner[$j]};
        refuse("the type $type") unless $type =~ /^(?:continuous|integer|binary)$/;
        my ($l, $h) = map { defined $v->{$_} ? number($v->{$_}, $_) : undef } qw(lb ub);
        if ($type ne 'continuous') {
            refuse('an integer follower') if $owner[$j] ne 'leader';
            push @whole, $j;
        }
        if ($type eq 'binary') {
            $l = $ZERO    if !defined $l || sign($l) < 0;
            $h = whole(1) if !defined $h || order($h, whole(1)) > 0;
        }
        push @low, $l;
        push @high, $h;
    }
    my $at = sub { exists $column{$_[0]} ? $column{$_[0]} : refuse("the variable $_[0]") };
    my $linear = sub {
        my ($given, $negate) = @_;
        my %a;
        for my $name (keys %{map_($given // {}, 'linear')}) {
            my $q = number($given->{$name}, "the coefficient of $name");
            my $j = $at->($name);
            $a{$j} = $negate ? minus($q) : $q if sign($q);
        }
        return \%a;
    };
    # The rows of a constraint: none, one, or two if it has two sides.
    my $row = sub {
        my $c = map_($_[0], 'a constraint');
        refuse('a quadratic constraint') if said($c->{quadratic});
        my ($least, $most) = map { defined $c->{$_} ? number($c->{$_}, $_) : undef } qw(lower upper);
        if (exists $c->{op} || exists $c->{rhs}) {
            refuse('a constraint stated in two ways') if exists $c->{lower} || exists $c->{upper};
            my ($op, $b) = (text($c->{op}, 'op'), number($c->{rhs}, 'rhs'));
            refuse("the operator $op") unless $op =~ /^[<>=]=$/;
            ($least, $most) = ($op ne '<=' ? $b : undef, $op ne '>=' ? $b : undef);
        }
        my $same = defined $least && defined $most && !order($least, $most);
        my $before = @rows;
        push @rows, {a => $linear->($c->{linear}, 0), same => $same, b => $least} if defined $least;
        push @rows, {a => $linear->($c->{linear}, 1), same => 0, b => minus($most)} if defined $most && !$same;
        return $before .. $#rows;
    };
    my $objective = sub {
        my $o = map_($_[0], 'an objective');
        my $sense = text($o->{sense}, 'sense');
        refuse("the sense $sense") unless $sense eq 'min' || $sense eq 'max';
        my $negate = $sense eq 'max';
        my @products = map {
            my ($u, $v, $c) = list($_, 'a product');
            refuse('a product of three') unless @$_ == 3;
            my $q = number($c, 'a coefficient');
            [$at->(text($u, 'a name')), $at->(text($v, 'a name')), $negate ? minus($q) : $q]
        } defined $o->{quadratic} ? list($o->{quadratic}, 'quadratic') : ();
        my $constant = exists $o->{constant} ? number($o->{constant}, 'constant') : $ZERO;
        return ($negate, $linear->($o->{linear}, $negate), $negate ? minus($constant) : $constant, @products);
    };
    my $leader = map_($P->{leader}, 'leader');
    my ($maximised, $cost, $constant, @curved) = $objective->($leader->{objective});
    refuse('a quadratic leader') if @curved;
    $row->($_) for list($leader->{constraints} // [], 'constraints');
    for my $f (@followers) {
        my ($n, $c, $k, @products) = $objective->($f->{objective});
        my @own = grep { $owner[$_] eq $f->{name} } 0 .. $#owner;
        # slope{y}: the derivative of the objective by y, as a row over the columns. y*z has slope z, and y*y has slope 2y.
        my %slope = map { $_ => {} } @own;
        for my $t (@products) {
            my ($u, $v, $q) = @$t;
            $slope{$u}{$v} = plus($slope{$u}{$v} // $ZERO, $q) if $slope{$u};
            $slope{$v}{$u} = plus($slope{$v}{$u} // $ZERO, $q) if $slope{$v};
        }
        convex([map { my $u = $_; [map { $slope{$u}{$_} // $ZERO } @own] } @own]);
        my $multiplier = sub { push @low, $_[0] ? undef : $ZERO; push @high, undef; return $#low };
        for my $i (map { $row->($_) } list($f->{constraints} // [], 'constraints')) {
            my $lambda = $multiplier->($rows[$i]{same});
            push @pairs, ['row', $i, $lambda] unless $rows[$i]{same};
            for my $y (@own) { $slope{$y}{$lambda} = minus($rows[$i]{a}{$y}) if $rows[$i]{a}{$y} }
        }
        for my $y (@own) {
            my ($l, $h) = ($low[$y], $high[$y]);
            if (defined $l && defined $h && !order($l, $h)) { $slope{$y}{$multiplier->(1)} = whole(-1); next }    # fixed: one free multiplier
            if (defined $l) { my $mu = $multiplier->(0); push @pairs, ['lb', $y, $mu]; $slope{$y}{$mu} = whole(-1) }
            if (defined $h) { my $mu = $multiplier->(0); push @pairs, ['ub', $y, $mu]; $slope{$y}{$mu} = whole(1) }
        }
        for my $y (@own) {
            my %a = map { sign($slope{$y}{$_}) ? ($_ => $slope{$y}{$_}) : () } keys %{$slope{$y}};
            push @rows, {a => \%a, same => 1, b => minus($c->{$y} // $ZERO)};
        }
    }
    return integral({low => \@low, high => \@high, rows => \@rows, pairs => \@pairs, whole => {map { $_ => 1 } @whole}, cost => $cost, constant => $constant,
        maximised => $maximised});
}

# What a proof names its problem by: a hash of the system. Numbers are texts like "-3/2", a missing bound is "None", columns ascend.
sub name_of {
    my ($S) = @_;
    my $quoted = sub { '"' . (defined $_[0] ? shown($_[0]) : 'None') . '"' };
    my $joined = sub { '[' . join(', ', @_) . ']' };
    my $terms = sub { my ($q) = @_; $joined->(map { $joined->($_, $quoted->($q->{$_})) } sort { $a <=> $b } keys %$q) };
    my @sides = map { $joined->(map { $quoted->($_) } @{$S->{$_}}) } qw(low high);
    my $rows = $joined->(map { $joined->($terms->($_->{a}), $_->{same} ? 'true' : 'false', $quoted->($_->{b})) } @{$S->{rows}});
    my $pairs = $joined->(map { $joined->("\"$_->[0]\"", $_->[1], $_->[2]) } @{$S->{pairs}});
    my $cost = $joined->($S->{maximised} ? -1 : 1, $terms->($S->{cost}), $quoted->($S->{constant}));
    return sha256_hex($joined->(@sides, $joined->(sort { $a <=> $b } keys %{$S->{whole}}), $rows, $pairs, $cost));
}

# A symmetric matrix is positive semidefinite if eliminating with positive pivots, in any order, leaves zeros only.
sub convex {
    my ($H) = @_;
    my @left = 0 .. $#$H;
    while (@left) {
        my ($k) = grep { sign($H->[$_][$_]) > 0 } @left;
        if (!defined $k) {
            for my $i (@left) { for my $j (@left) { refuse('a follower is not convex') if sign($H->[$i][$j]) } }
            return;
        }
        @left = grep { $_ != $k } @left;
        for my $i (@left) {
            my $ratio = over($H->[$i][$k], $H->[$k][$k]);
            next unless sign($ratio);
            $H->[$i][$_] = plus($H->[$i][$_], minus(product($ratio, $H->[$k][$_]))) for @left;
        }
    }
}

# Rows times the least integer that clears their denominators; bounds and cost over one denominator each: leaves then need integers only.
sub integral {
    my ($S) = @_;
    for my $r (@{$S->{rows}}) {
        my $m = Math::BigInt::blcm($ONE, $r->{b}[1], map { $_->[1] } values %{$r->{a}});
        $r->{times} = $m;
        $r->{int} = {map { $_ => $r->{a}{$_}[0] * ($m / $r->{a}{$_}[1]) } keys %{$r->{a}}};
        $r->{rhs} = $r->{b}[0] * ($m / $r->{b}[1]);
    }
    my $B = $S->{unit} = Math::BigInt::blcm($ONE, map { $_->[1] } grep { defined } @{$S->{low}}, @{$S->{high}});
    for my $side (qw(low high)) { $S->{"int_$side"} = [map { defined $_ ? $_->[0] * ($B / $_->[1]) : undef } @{$S->{$side}}] }
    my $K = $S->{cost_unit} = Math::BigInt::blcm($ONE, $S->{constant}[1], map { $_->[1] } values %{$S->{cost}});
    $S->{int_cost} = {map { $_ => $S->{cost}{$_}[0] * ($K / $S->{cost}{$_}[1]) } keys %{$S->{cost}}};
    $S->{int_constant} = $S->{constant}[0] * ($K / $S->{constant}[1]);
    return $S;
}

# --- the proof ----------------------------------------------------------------------------------------------------------------------

sub sparse {
    my ($size, $what, @words) = @_;
    my %out;
    for my $w (@words) {
        my ($i, $q) = $w =~ /^([0-9]+):(.+)$/ or refuse("$what: $w");
        $i = index_($i, $size, $what);
        refuse("$what $i twice") if exists $out{$i};
        $out{$i} = rational($q);
    }
    return \%out;
}
sub along { my ($a, $v) = @_; my $sum = $ZERO; for (keys %$a) { $sum = plus($sum, product($a->{$_}, $v->[$_])) if sign($v->[$_]) } return $sum }

# The value of a point that is feasible for the leader and optimal for every follower; anything else is refused.
sub value_of_point {
    my ($S, $sparse) = @_;
    my @v = map { $sparse->{$_} // $ZERO } 0 .. $#{$S->{low}};
    for my $j (0 .. $#v) {
        refuse("the point leaves the bounds of column $j") if defined $S->{low}[$j] && order($v[$j], $S->{low}[$j]) < 0 or defined $S->{high}[$j] && order($v[$j], $S->{high}[$j]) > 0;
        refuse("the point is not whole in column $j") if $S->{whole}{$j} && !cut($v[$j])->[1]->is_one;
    }
    my @slack = map { plus(along($_->{a}, \@v), minus($_->{b})) } @{$S->{rows}};
    for my $i (0 .. $#slack) {
        my $s = sign($slack[$i]);
        refuse("the point breaks row $i") if $s < 0 || ($s > 0 && $S->{rows}[$i]{same});
    }
    for my $pair (@{$S->{pairs}}) {
        my ($sort, $k, $mu) = @$pair;
        next unless sign($v[$mu]);
        my $s = $sort eq 'row' ? $slack[$k] : order($v[$k], $sort eq 'lb' ? $S->{low}[$k] : $S->{high}[$k]);
        refuse('the point has a positive multiplier beside a slack') if ref $s ? sign($s) : $s;
    }
    return plus(along($S->{cost}, \@v), $S->{constant});
}

sub verify {
    my ($problem_text, $proof_text) = @_;
    my ($S, $sha) = prepared($problem_text);
    my @lines = split /\n/, $proof_text, -1;
    my $next = sub { @lines ? [split ' ', shift @lines] : refuse('the file ends early') };
    my $field = sub { my $w = $next->(); @$w && $w->[0] eq $_[0] or refuse("no line $_[0]"); return @$w[1 .. $#$w] };
    my $single = sub { my @w = $field->($_[0]); @w == 1 or refuse("line $_[0]"); return $w[0] };
    refuse('another version') unless $single->('stackopt-proof') eq '1';
    refuse('a proof for another problem') unless $single->('problem') eq $sha;
    my $status = $single->('status');
    my ($upper, $lower);
    if ($status eq 'optimal') {
        ($upper, $lower) = (rational($single->('upper')), rational($single->('lower')));
        refuse('lower is above upper') if order($lower, $upper) > 0;
        my $value = value_of_point($S, sparse(scalar @{$S->{low}}, 'column', $field->('point')));
        refuse('the point has another value') if order($value, $upper);
    }
    elsif ($status ne 'infeasible') { refuse("status $status") }
    refuse('words after tree') if $field->('tree');
    my $walk = {S => $S, low => [@{$S->{int_low}}], high => [@{$S->{int_high}}], tight => {}, lower => $lower, next => $next, leaves => [], nodes => 0};
    cell($walk);
    my $last = $next->();
    refuse('no end') unless @$last == 1 && $last->[0] eq 'end';
    for (@lines) { refuse('text after the end') if /\S/ }
    my ($lo, $up) = !defined $upper ? () : $S->{maximised} ? (minus($upper), minus($lower)) : ($lower, $upper);
    return ($status, $walk->{nodes}, $lo, $up);
}

# One cell: reads its line, and the two cells it is divided into if it is. What a decision sets is put back.
sub cell {
    my ($w) = @_;
    my ($S, $words) = ($w->{S}, $w->{next}->());
    my ($op, @arg) = @$words or refuse('an empty line in the tree');
    $w->{nodes}++;
    if ($op eq 'b') {
        refuse('b takes a pair') unless @arg == 1;
        my ($sort, $k, $mu) = @{$S->{pairs}[index_($arg[0], scalar @{$S->{pairs}}, 'pair')]};
        if ($sort eq 'row') { $w->{tight}{$k}++; cell($w); delete $w->{tight}{$k} unless --$w->{tight}{$k} }
        elsif ($sort eq 'lb') { with($w, 'high', $k, $S->{int_low}[$k]) }
        else { with($w, 'low', $k, $S->{int_high}[$k]) }
        with($w, 'high', $mu, Math::BigInt->new(0));
    }
    elsif ($op eq 'i') {
        refuse('i takes a column and a number') unless @arg == 2 && $arg[1] =~ /^[-+]?[0-9]+$/;
        my $j = index_($arg[0], scalar @{$S->{low}}, 'column');
        refuse("column $j is not an integer") unless $S->{whole}{$j};
        my $k = Math::BigInt->new($arg[1]);
        with($w, 'high', $j, $k * $S->{unit});
        with($w, 'low', $j, ($k + 1) * $S->{unit});
    }
    elsif ($op eq 'e') {
        refuse('e takes a column') unless @arg == 1;
        my $j = index_($arg[0], scalar @{$S->{low}}, 'column');
        my ($l, $h) = ($w->{low}[$j], $w->{high}[$j]);
        refuse("column $j is not empty") unless defined $l && defined $h && $l > $h;
    }
    elsif ($op eq 'r') {
        refuse('r takes a leaf') unless @arg == 1;
        closed($w, @{$w->{leaves}[index_($arg[0], scalar @{$w->{leaves}}, 'leaf')]});
    }
    elsif ($op eq 'd' || $op eq 'f') {
        my $weights = sparse(scalar @{$S->{rows}}, 'row', @arg);
        push @{$w->{leaves}}, [$op, $weights];
        closed($w, $op, $weights);
    }
    else { refuse("the line $op") }
}
# The cell with a bound that is at least as tight; a looser one changes nothing.
sub with {
    my ($w, $side, $j, $bound) = @_;
    my $before = $w->{$side}[$j];
    $w->{$side}[$j] = $bound if !defined $before || ($side eq 'low' ? $bound > $before : $bound < $before);
    cell($w);
    $w->{$side}[$j] = $before;
}

# Rows added up with these weights, then columns with their bounds, show: objective >= lower on the cell (d), or 0 > 0 (f).
# Everything is multiplied by D, which clears the denominators of weights and cost, and once more by the unit of the bounds.
sub closed {
    my ($w, $op, $weights) = @_;
    my $S = $w->{S};
    my $t = $op eq 'd';
    refuse('a bound, but nothing is claimed about the value') if $t && !defined $w->{lower};
    my $D = Math::BigInt::blcm($S->{cost_unit}, map { $weights->{$_}[1] * $S->{rows}[$_]{times} } keys %$weights);
    my $factor = $D / $S->{cost_unit};
    my %left = $t ? map { $_ => $S->{int_cost}{$_} * $factor } keys %{$S->{int_cost}} : ();
    my $sum = $t ? $S->{int_constant} * $factor : Math::BigInt->new(0);
    for my $i (keys %$weights) {
        my $r = $S->{rows}[$i];
        my $q = $weights->{$i};
        refuse("row $i has a negative weight") if $q->[0]->is_neg && !$r->{same} && !$w->{tight}{$i};
        my $m = $q->[0] * ($D / ($q->[1] * $r->{times}));
        $sum += $m * $r->{rhs};
        for my $j (keys %{$r->{int}}) { $left{$j} = ($left{$j} // 0) - $m * $r->{int}{$j} }
    }
    $sum *= $S->{unit};
    for my $j (keys %left) {
        next if $left{$j} == 0;
        my $bound = $left{$j} > 0 ? $w->{low}[$j] : $w->{high}[$j];
        refuse("column $j has no bound where one is needed") unless defined $bound;
        $sum += $left{$j} * $bound;
    }
    if ($t) { refuse('the bound of a cell is below lower') if $sum * $w->{lower}[1] < $w->{lower}[0] * $D * $S->{unit} }
    elsif ($sum <= 0) { refuse('a cell is not shown to be empty') }
}

# --- reading and answering ----------------------------------------------------------------------------------------------------------

my %known;    # the systems of problems already read, by their text
sub prepared {
    my ($text) = @_;
    %known = () if keys %known > 50;
    $known{$text} //= do { my $S = system_of(json($text)); [$S, name_of($S)] };
    return @{$known{$text}};
}
sub contents {
    my ($path) = @_;
    open my $file, '<:raw', $path or refuse("$path cannot be read");
    local $/;
    my $bytes = <$file>;
    return decode('UTF-8', $bytes // '', FB_CROAK | LEAVE_SRC);
}
sub answer {
    my ($problem, $proof) = @_;
    my @found = eval { verify(contents($problem), contents($proof)) };
    if ($@) { my $why = $@; $why =~ s/^REFUSED: //; $why =~ s/\s+/ /g; return "REJECTED: $why" }
    my ($status, $nodes, $lo, $up) = @found;
    return "VERIFIED: no feasible point ($nodes nodes)" if $status eq 'infeasible';
    return 'VERIFIED: optimum = ' . shown($lo) . " exactly ($nodes nodes)" unless order($lo, $up);
    return 'VERIFIED: ' . shown($lo) . ' <= optimum <= ' . shown($up) . " ($nodes nodes)";
}

binmode STDOUT, ':encoding(UTF-8)';
if (@ARGV == 1 && $ARGV[0] eq '--batch') {
    $| = 1;
    while (my $line = <STDIN>) {
        chomp $line;
        print answer(split /\t/, $line), "\n";
    }
}
elsif (@ARGV == 2) {
    my $said = answer(@ARGV);
    print "$said\n";
    exit($said =~ /^VERIFIED/ ? 0 : 1);
}
else { print STDERR "usage: check.pl PROBLEM.json PROOF.txt | check.pl --batch\n"; exit 2 }
