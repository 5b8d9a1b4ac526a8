"""The class names of ActivityNet, in alphabetical order (that of their bytes: ``BMX`` comes before ``Baking cookies``).

ActivityNet 1.3 keeps 99 of the 100 classes of 1.2; "Playing volleyball" became "Volleyball". Misspelt names
are as released.
"""


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.replace('\n', ' ').split(';'))


CLASSES_12 = _names(
    """
    Archery; Ballet; Bathing dog; Belly dance; Breakdancing; Brushing hair; Brushing teeth; Bungee jumping;
    Cheerleading; Chopping wood; Clean and jerk; Cleaning shoes; Cleaning windows; Cricket; Cumbia; Discus throw;
    Dodgeball; Doing karate; Doing kickboxing; Doing motocross; Doing nails; Doing step aerobics; Drinking beer;
    Drinking coffee; Fixing bicycle; Getting a haircut; Getting a piercing; Getting a tattoo; Grooming horse;
    Hammer throw; Hand washing clothes; High jump; Hopscotch; Horseback riding; Ironing clothes; Javelin throw;
    Kayaking; Layup drill in basketball; Long jump; Making a sandwich; Mixing drinks; Mowing the lawn; Paintball;
    Painting; Ping-pong; Plataform diving; Playing accordion; Playing badminton; Playing bagpipes; Playing field hockey;
    Playing flauta; Playing guitarra; Playing harmonica; Playing kickball; Playing lacrosse; Playing piano;
    Playing polo; Playing racquetball; Playing saxophone; Playing squash; Playing violin; Playing volleyball;
    Playing water polo; Pole vault; Polishing forniture; Polishing shoes; Preparing pasta; Preparing salad;
    Putting on makeup; Removing curlers; Rock climbing; Sailing; Shaving; Shaving legs; Shot put; Shoveling snow;
    Skateboarding; Smoking a cigarette; Smoking hookah; Snatch; Spinning; Springboard diving; Starting a campfire;
    Tai chi; Tango; Tennis serve with ball bouncing; Triple jump; Tumbling; Using parallel bars; Using the balance beam;
    Using the pommel horse; Using uneven bars; Vacuuming floor; Walking the dog; Washing dishes; Washing face;
    Washing hands; Windsurfing; Wrapping presents; Zumba
    """
)

CLASSES_13 = _names(
    """
    Applying sunscreen; Archery; Arm wrestling; Assembling bicycle; BMX; Baking cookies; Ballet; Bathing dog;
    Baton twirling; Beach soccer; Beer pong; Belly dance; Blow-drying hair; Blowing leaves; Braiding hair; Breakdancing;
    Brushing hair; Brushing teeth; Building sandcastles; Bullfighting; Bungee jumping; Calf roping; Camel ride;
    Canoeing; Capoeira; Carving jack-o-lanterns; Changing car wheel; Cheerleading; Chopping wood; Clean and jerk;
    Cleaning shoes; Cleaning sink; Cleaning windows; Clipping cat claws; Cricket; Croquet; Cumbia; Curling;
    Cutting the grass; Decorating the Christmas tree; Disc dog; Discus throw; Dodgeball; Doing a powerbomb;
    Doing crunches; Doing fencing; Doing karate; Doing kickboxing; Doing motocross; Doing nails; Doing step aerobics;
    Drinking beer; Drinking coffee; Drum corps; Elliptical trainer; Fixing bicycle; Fixing the roof; Fun sliding down;
    Futsal; Gargling mouthwash; Getting a haircut; Getting a piercing; Getting a tattoo; Grooming dog; Grooming horse;
    Hammer throw; Hand car wash; Hand washing clothes; Hanging wallpaper; Having an ice cream; High jump;
    Hitting a pinata; Hopscotch; Horseback riding; Hula hoop; Hurling; Ice fishing; Installing carpet; Ironing clothes;
    Javelin throw; Kayaking; Kite flying; Kneeling; Knitting; Laying tile; Layup drill in basketball; Long jump;
    Longboarding; Making a cake; Making a lemonade; Making a sandwich; Making an omelette; Mixing drinks; Mooping floor;
    Mowing the lawn; Paintball; Painting; Painting fence; Painting furniture; Peeling potatoes; Ping-pong; Plastering;
    Plataform diving; Playing accordion; Playing badminton; Playing bagpipes; Playing beach volleyball;
    Playing blackjack; Playing congas; Playing drums; Playing field hockey; Playing flauta; Playing guitarra;
    Playing harmonica; Playing ice hockey; Playing kickball; Playing lacrosse; Playing piano; Playing polo;
    Playing pool; Playing racquetball; Playing rubik cube; Playing saxophone; Playing squash; Playing ten pins;
    Playing violin; Playing water polo; Pole vault; Polishing forniture; Polishing shoes; Powerbocking; Preparing pasta;
    Preparing salad; Putting in contact lenses; Putting on makeup; Putting on shoes; Rafting; Raking leaves;
    Removing curlers; Removing ice from car; Riding bumper cars; River tubing; Rock climbing; Rock-paper-scissors;
    Rollerblading; Roof shingle removal; Rope skipping; Running a marathon; Sailing; Scuba diving; Sharpening knives;
    Shaving; Shaving legs; Shot put; Shoveling snow; Shuffleboard; Skateboarding; Skiing; Slacklining;
    Smoking a cigarette; Smoking hookah; Snatch; Snow tubing; Snowboarding; Spinning; Spread mulch; Springboard diving;
    Starting a campfire; Sumo; Surfing; Swimming; Swinging at the playground; Table soccer; Tai chi; Tango;
    Tennis serve with ball bouncing; Throwing darts; Trimming branches or hedges; Triple jump; Tug of war; Tumbling;
    Using parallel bars; Using the balance beam; Using the monkey bar; Using the pommel horse; Using the rowing machine;
    Using uneven bars; Vacuuming floor; Volleyball; Wakeboarding; Walking the dog; Washing dishes; Washing face;
    Washing hands; Waterskiing; Waxing skis; Welding; Windsurfing; Wrapping presents; Zumba
    """
)
