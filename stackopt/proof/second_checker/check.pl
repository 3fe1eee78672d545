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
    $text =~ /^([-+]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?$/ && length($4 // '') < 5 or refuse("number $text");
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
# Minimise constant + cost.v + v'bend v / 2.   low, high: bounds of the columns, undef where there is none.
# rows: {a => {column => number}, same => equation?, b => number}.   pairs: [kind of slack, its row or column, the multiplier's column].

sub only { my ($object, $what, @keys) = @_; my %ok = map { $_ => 1 } @keys; for (keys %{map_($object, $what)}) { $ok{$_} or refuse("$what has the key $_") } return $object }

sub system_of {
    my ($problem) = @_;
    my $P = only($problem, 'the file', qw(schema name title class optimistic variables duals leader followers known verified verification source note notes tolerance));
    refuse('not the optimistic problem') unless !exists $P->{optimistic} || (ref $P->{optimistic} eq 'Truth' && ${$P->{optimistic}} eq 'true');
    my (@low, @high, @owner, @name, @whole, @rows, @pairs);
    my %symbol;      # name => {column => factor}: a variable is its column, a dual a combination of multipliers
    my %marginal;    # follower, row or variable => the combination of multipliers that is its derivative
    my @followers = map { only($_, 'a follower', qw(name objective constraints)) } list($P->{followers}, 'followers');
    my %player = (leader => 1);
    for my $f (@followers) { refuse('a player twice') if $player{text($f->{name}, 'a name')}++ }
    for my $v (map { only($_, 'a variable', qw(name owner lb ub type)) } list($P->{variables}, 'variables')) {
        my ($name, $type) = (text($v->{name}, 'a name'), text(exists $v->{type} ? $v->{type} : 'continuous', 'a type'));
        refuse("the variable $name twice") if exists $symbol{$name};
        my $j = @owner;
        $symbol{$name} = {$j => whole(1)};
        push @name, $name;
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
    my $meant = sub { $symbol{text($_[0], 'a name')} // refuse("the symbol $_[0]") };
    my $add = sub { my ($map, $j, $q) = @_; $map->{$j} = plus($map->{$j} // $ZERO, $q) };
    my $linear = sub {
        my ($given, $negate) = @_;
        my %a;
        for my $name (keys %{map_($given // {}, 'linear')}) {
            my $q = number($given->{$name}, "the coefficient of $name");
            $q = minus($q) if $negate;
            my $m = $meant->($name);
            $add->(\%a, $_, product($q, $m->{$_})) for keys %$m;
        }
        for (keys %a) { delete $a{$_} unless sign($a{$_}) }
        return \%a;
    };
    # The rows of a constraint: none, one, or two if it has two sides; -1 for what was turned round.
    my $row = sub {
        my $c = only($_[0], 'a constraint', qw(name linear quadratic op rhs lower upper));
        refuse('a quadratic constraint') if said($c->{quadratic});
        my ($least, $most) = map { defined $c->{$_} ? number($c->{$_}, $_) : undef } qw(lower upper);
        if (defined $c->{op} || defined $c->{rhs}) {
            refuse('a constraint stated in two ways') if defined $least || defined $most;
            my ($op, $b) = (text($c->{op}, 'op'), number($c->{rhs}, 'rhs'));
            refuse("the operator $op") unless $op =~ /^(?:<=|>=|==)$/;
            ($least, $most) = ($op ne '<=' ? $b : undef, $op ne '>=' ? $b : undef);
        }
        my $same = defined $least && defined $most && !order($least, $most);
        my @made;
        if (defined $least) { push @rows, {a => $linear->($c->{linear}, 0), same => $same, b => $least}; push @made, [$#rows, 1] }
        if (defined $most && !$same) { push @rows, {a => $linear->($c->{linear}, 1), same => 0, b => minus($most)}; push @made, [$#rows, -1] }
        return @made;
    };
    # An objective to be minimised: negated?, slope at 0, constant, and the second derivatives {column => {column => number}}.
    my $objective = sub {
        my $o = only($_[0], 'an objective', qw(sense linear constant quadratic));
        my $sense = text($o->{sense}, 'sense');
        refuse("the sense $sense") unless $sense eq 'min' || $sense eq 'max';
        my $negate = $sense eq 'max';
        my %bend;
        for my $term (defined $o->{quadratic} ? list($o->{quadratic}, 'quadratic') : ()) {
            my ($u, $v, $c) = list($term, 'a product');
            refuse('a product of three') unless @$term == 3;
            my $q = number($c, 'a coefficient');
            $q = minus($q) if $negate;
            my ($one, $two) = ($meant->($u), $meant->($v));
            for my $i (keys %$one) {
                for my $j (keys %$two) {    # d2(v_i v_j) stands at (i, j) and at (j, i); for i = j the two add up to the 2 of (v v)'' = 2
                    my $c = product($q, product($one->{$i}, $two->{$j}));
                    $add->($bend{$i} //= {}, $j, $c);
                    $add->($bend{$j} //= {}, $i, $c);
                }
            }
        }
        my $constant = exists $o->{constant} ? number($o->{constant}, 'constant') : $ZERO;
        return ($negate, $linear->($o->{linear}, $negate), $negate ? minus($constant) : $constant, \%bend);
    };
    for my $f (@followers) {
        my ($negate, $c, undef, $bend) = $objective->($f->{objective});
        my @own = grep { $owner[$_] eq $f->{name} } 0 .. $#owner;
        my %slope = map { $_ => {%{$bend->{$_} // {}}} } @own;
        convex([map { my $u = $_; [map { $slope{$u}{$_} // $ZERO } @own] } @own]);
        my $multiplier = sub { push @low, $_[0] ? undef : $ZERO; push @high, undef; return $#low };
        # The derivative of the optimum of f, in its own sense, by a right-hand side is its multiplier up to sign.
        my $derivative = sub { my ($of, $mu, $turned) = @_; $marginal{$f->{name}}{$of}{$mu} = whole($negate == ($turned < 0) ? 1 : -1) };
        my $number = 0;
        for my $one (list($f->{constraints} // [], 'constraints')) {
            my $called = exists $one->{name} ? text($one->{name}, 'a name') : "row[$number]";
            $number++;
            my $taken = exists $marginal{$f->{name}}{$called};    # the first row of a name is meant
            $marginal{$f->{name}}{$called} //= {};
            for my $made ($row->($one)) {
                my ($i, $turned) = @$made;
                my $lambda = $multiplier->($rows[$i]{same});
                push @pairs, ['row', $i, $lambda] unless $rows[$i]{same};
                for my $y (@own) { $slope{$y}{$lambda} = minus($rows[$i]{a}{$y}) if $rows[$i]{a}{$y} }
                $derivative->($called, $lambda, $turned) unless $taken;
            }
        }
        for my $y (@own) {
            my ($l, $h) = ($low[$y], $high[$y]);
            my $fixed = defined $l && defined $h && !order($l, $h);    # one free multiplier
            my $taken = exists $marginal{$f->{name}}{$name[$y]};    # a row of this name is meant
            $marginal{$f->{name}}{$name[$y]} //= {};
            for my $side ($fixed ? ['lb', $l, 1] : (['lb', $l, 1], ['ub', $h, -1])) {
                my ($kind, $bound, $turned) = @$side;
                next unless defined $bound;
                my $mu = $multiplier->($fixed);
                push @pairs, [$kind, $y, $mu] unless $fixed;
                $slope{$y}{$mu} = whole(-$turned);
                $derivative->($name[$y], $mu, $turned) unless $taken;
            }
        }
        for my $y (@own) {
            my %a = map { sign($slope{$y}{$_}) ? ($_ => $slope{$y}{$_}) : () } keys %{$slope{$y}};
            push @rows, {a => \%a, same => 1, b => minus($c->{$y} // $ZERO)};
        }
    }
    for my $d (defined $P->{duals} ? list($P->{duals}, 'duals') : ()) {
        my ($name, $f, $of) = map { text(map_($d, 'a dual')->{$_}, $_) } qw(name follower constraint);
        refuse("the symbol $name twice") if exists $symbol{$name};
        $symbol{$name} = ($marginal{$f} // {})->{$of} // refuse("the constraint $of of $f");
    }
    my $leader = only($P->{leader}, 'leader', qw(name objective constraints));
    $row->($_) for list($leader->{constraints} // [], 'constraints');
    my ($maximised, $cost, $constant, $bend) = $objective->($leader->{objective});
    my @bent = sort { $a <=> $b } keys %$bend;
    convex([map { my $u = $_; [map { $bend->{$u}{$_} // $ZERO } @bent] } @bent]);
    return integral({low => \@low, high => \@high, rows => \@rows, pairs => \@pairs, whole => {map { $_ => 1 } @whole}, cost => $cost, constant => $constant,
        bend => $bend, maximised => $maximised});
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
    my $bend = $joined->(map { my $c = $S->{bend}{$_}; $joined->($_, $terms->({map { sign($c->{$_}) ? ($_ => $c->{$_}) : () } keys %$c})) } sort { $a <=> $b } keys %{$S->{bend}});
    my @goal = ($S->{maximised} ? -1 : 1, $terms->($S->{cost}), $quoted->($S->{constant}), $bend);
    return sha256_hex($joined->(@sides, $joined->(sort { $a <=> $b } keys %{$S->{whole}}), $rows, $pairs, @goal));
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
    $S->{goal} = over_one_denominator($S->{cost}, $S->{constant});
    return $S;
}
# {column => number} and a constant as integers over one denominator: [integers, integer, denominator].
sub over_one_denominator {
    my ($a, $b) = @_;
    my $K = Math::BigInt::blcm($ONE, $b->[1], map { $_->[1] } values %$a);
    return [{map { $_ => $a->{$_}[0] * ($K / $a->{$_}[1]) } keys %$a}, $b->[0] * ($K / $b->[1]), $K];
}
# The slope and the constant of the tangent of the objective at a point: nowhere above the objective, which is convex.
sub tangent {
    my ($S, $u) = @_;
    my ($constant, %slope) = ($S->{constant}, %{$S->{cost}});
    for my $i (keys %{$S->{bend}}) {
        my $force = along($S->{bend}{$i}, $u);
        next unless sign($force);
        $slope{$i} = plus($slope{$i} // $ZERO, $force);
        $constant = plus($constant, product([-$force->[0], $force->[1] * 2], $u->[$i]));
    }
    return (\%slope, $constant);
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
    my ($slope, $constant) = tangent($S, \@v);
    return (plus(along($slope, \@v), $constant), \@v, \@slack, $slope);
}

# A direction along which a feasible point stays feasible for ever, and the objective falls for ever.
sub half_line {
    my ($S, $v, $slack, $slope, $sparse) = @_;
    my @d = map { $sparse->{$_} // $ZERO } 0 .. $#{$S->{low}};
    for my $j (0 .. $#d) {
        refuse("the ray leaves the bounds of column $j") if (defined $S->{low}[$j] && sign($d[$j]) < 0) || (defined $S->{high}[$j] && sign($d[$j]) > 0);
    }
    my @rate = map { along($_->{a}, \@d) } @{$S->{rows}};
    for my $i (0 .. $#rate) { refuse("the ray breaks row $i") if sign($rate[$i]) < 0 || ($S->{rows}[$i]{same} && sign($rate[$i])) }
    for my $pair (@{$S->{pairs}}) {
        my ($sort, $k, $mu) = @$pair;
        my $gap = $sort eq 'row' ? sign($slack->[$k]) : order($v->[$k], $S->{$sort eq 'lb' ? 'low' : 'high'}[$k]);
        my $drift = $sort eq 'row' ? sign($rate[$k]) : sign($d[$k]);
        refuse('the ray leaves a complementarity') if ($gap || $drift) && sign($d[$mu]) or $drift && sign($v->[$mu]);
    }
    for (values %{$S->{bend}}) { refuse('the objective bends along the ray') if sign(along($_, \@d)) }
    refuse('the objective does not fall along the ray') unless sign(along($slope, \@d)) < 0;
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
    $status =~ /^(?:optimal|bound|infeasible|unbounded)$/ or refuse("status $status");
    $upper = rational($single->('upper')) if $status eq 'optimal';
    $lower = rational($single->('lower')) if $status eq 'optimal' || $status eq 'bound';
    if ($status eq 'optimal' || $status eq 'unbounded') {
        my ($value, @more) = value_of_point($S, sparse(scalar @{$S->{low}}, 'column', $field->('point')));
        if ($status eq 'optimal') { refuse('the point has another value, or one below lower') if order($value, $upper) || order($lower, $upper) > 0 }
        else { half_line($S, @more, sparse(scalar @{$S->{low}}, 'column', $field->('ray'))) }
    }
    $field->('tree');
    my $walk = {S => $S, low => [@{$S->{int_low}}], high => [@{$S->{int_high}}], tight => {}, lower => $lower, next => $next, leaves => [], nodes => 0};
    cell($walk) unless $status eq 'unbounded';
    my $last = $next->();
    refuse('no end') unless @$last == 1 && $last->[0] eq 'end';
    for (@lines) { refuse('text after the end') if /\S/ }
    ($lower, $upper) = map { defined $_ ? minus($_) : undef } ($upper, $lower) if $S->{maximised};
    return ($status, $walk->{nodes}, $lower, $upper);
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
        my ($at) = ((grep { $arg[$_] eq 'at' } 0 .. $#arg), scalar @arg);
        my $weights = sparse(scalar @{$S->{rows}}, 'row', @arg[0 .. $at - 1]);
        my $where = sparse(scalar @{$S->{low}}, 'column', @arg[$at + 1 .. $#arg]);
        push @{$w->{leaves}}, [$op, $weights, $where];
        closed($w, $op, $weights, $where);
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
    my ($w, $op, $weights, $where) = @_;
    my $S = $w->{S};
    my $t = $op eq 'd';
    refuse('a bound, but nothing is claimed about the value') if $t && !defined $w->{lower};
    my $goal = $S->{goal};
    $goal = over_one_denominator(tangent($S, [map { $where->{$_} // $ZERO } 0 .. $#{$S->{low}}])) if $t && %$where && %{$S->{bend}};
    my ($cost, $constant, $unit) = $t ? @$goal : ({}, Math::BigInt->new(0), $ONE);
    my $D = Math::BigInt::blcm($unit, map { $weights->{$_}[1] * $S->{rows}[$_]{times} } keys %$weights);
    my $factor = $D / $unit;
    my %left = map { $_ => $cost->{$_} * $factor } keys %$cost;
    my $sum = $constant * $factor;
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
    my $count = "($nodes node" . ($nodes == 1 ? '' : 's') . ')';
    return "VERIFIED: the problem has no feasible point $count" if $status eq 'infeasible';
    return 'VERIFIED: the problem is unbounded, along a half-line of feasible points' if $status eq 'unbounded';
    return 'VERIFIED: no feasible point has a value ' . (defined $lo ? 'below ' . shown($lo) : 'above ' . shown($up)) . " $count" if $status eq 'bound';
    return 'VERIFIED: optimum = ' . shown($lo) . " exactly $count" unless order($lo, $up);
    return 'VERIFIED: ' . shown($lo) . ' <= optimum <= ' . shown($up) . " $count";
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
